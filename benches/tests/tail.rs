//! The simulation of searches on many nodes against what queueing theory says exactly.

use benches::tail::{Choice, Cluster, Load, Outcome, Service, simulate};

/// One node with one core.
fn one(service: Service) -> Cluster {
    Cluster {
        shards: 1,
        replicas: 1,
        cores: 1,
        choice: Choice::Random,
        hedge_ms: None,
        deadline_ms: None,
        service,
    }
}

fn run(cluster: &Cluster, busy: f64, queries: usize) -> Outcome {
    let seed = 7;
    let load = Load {
        busy,
        queries,
        seed,
    };
    let outcome = simulate(cluster, load).expect("a load that is answered");
    eprintln!(
        "seed {seed}: mean {} busy {}",
        outcome.mean_ms(),
        outcome.busy
    );
    outcome
}

#[track_caller]
fn near(measured: f64, exact: f64, within: f64) {
    assert!(
        (measured / exact - 1.0).abs() < within,
        "{measured} instead of {exact}"
    );
}

/// So rarely that nobody waits.
const ALONE: f64 = 1e-6;

#[test]
fn a_queue_with_exponential_times_takes_what_the_formula_of_m_m_1_says() {
    for busy in [0.3, 0.5, 0.7] {
        let outcome = run(&one(Service::Exponential(2.0)), busy, 400_000);
        near(outcome.mean_ms(), 2.0 / (1.0 - busy), 0.03);
        near(outcome.busy, busy, 0.01);
        // Times are exponential too.
        let p99 = 2.0 / (1.0 - busy) * 100.0_f64.ln();
        near(outcome.percentile_ms(0.99), p99, 0.05);
    }
}

#[test]
fn a_queue_with_equal_times_takes_what_the_formula_of_m_d_1_says() {
    for busy in [0.3, 0.5, 0.8] {
        let outcome = run(&one(Service::Fixed(2.0)), busy, 400_000);
        let waiting = 2.0 * busy / (2.0 * (1.0 - busy));
        near(outcome.mean_ms(), 2.0 + waiting, 0.02);
    }
}

#[test]
fn a_queue_with_measured_times_takes_what_pollaczek_and_khinchine_say() {
    let times = vec![1.0, 1.0, 1.0, 9.0];
    let square: f64 = times.iter().map(|t| t * t).sum::<f64>() / 4.0;
    let outcome = run(&one(Service::Measured(times)), 0.5, 400_000);
    // The mean is 3, so a query comes every 6.
    let waiting = square / 6.0 / (2.0 * (1.0 - 0.5));
    near(outcome.mean_ms(), 3.0 + waiting, 0.03);
}

#[test]
fn two_cores_with_one_queue_take_what_the_formula_of_m_m_2_says() {
    let cluster = Cluster {
        cores: 2,
        ..one(Service::Exponential(2.0))
    };
    let outcome = run(&cluster, 0.7, 400_000);
    near(outcome.mean_ms(), 2.0 / (1.0 - 0.7 * 0.7), 0.03);
    near(outcome.busy, 0.7, 0.01);
}

#[test]
fn the_slowest_of_n_exponential_times_has_the_harmonic_number_as_its_mean() {
    for shards in [1, 10, 100] {
        let cluster = Cluster {
            shards,
            ..one(Service::Exponential(1.0))
        };
        let harmonic: f64 = (1..=shards).map(|i| 1.0 / i as f64).sum();
        near(run(&cluster, ALONE, 40_000).mean_ms(), harmonic, 0.02);
    }
}

#[test]
fn the_quicker_of_two_exponential_times_takes_half_and_one_asked_later_as_much_as_is_left() {
    let hedged = |after_ms: f64| Cluster {
        replicas: 2,
        hedge_ms: Some(after_ms),
        ..one(Service::Exponential(1.0))
    };
    let outcome = run(&hedged(0.0), ALONE, 200_000);
    near(outcome.mean_ms(), 0.5, 0.01);
    near(outcome.hedged, 1.0, 1e-9);
    // Until h one node works, then two: 1 - e^-h + e^-h / 2.
    let outcome = run(&hedged(1.0), ALONE, 200_000);
    let left = (-1.0_f64).exp();
    near(outcome.mean_ms(), 1.0 - left / 2.0, 0.01);
    near(outcome.hedged, left, 0.02);
}

#[test]
fn a_deadline_leaves_out_as_many_shards_as_are_slower() {
    let cluster = Cluster {
        shards: 20,
        deadline_ms: Some(4.0),
        ..one(Service::Exponential(1.0))
    };
    let outcome = run(&cluster, ALONE, 50_000);
    let slower = (-4.0_f64).exp();
    near(outcome.missing, slower, 0.03);
    near(outcome.partial, 1.0 - (1.0 - slower).powi(20), 0.03);
    assert_eq!(outcome.percentile_ms(1.0), 4.0);
}

#[test]
fn what_is_asked_twice_is_work_and_what_need_not_be_done_any_more_is_not() {
    let service = Service::Exponential(1.0);
    let cluster = Cluster {
        shards: 10,
        replicas: 3,
        hedge_ms: Some(4.0),
        ..one(service)
    };
    let plain = Cluster {
        hedge_ms: None,
        ..cluster.clone()
    };
    let (hedged, plain) = (run(&cluster, 0.4, 20_000), run(&plain, 0.4, 20_000));
    near(plain.busy, 0.4, 0.02);
    assert!(hedged.busy > plain.busy && hedged.busy < 0.4 * (1.0 + hedged.hedged) * 1.02);
    assert!(hedged.percentile_ms(0.99) < plain.percentile_ms(0.99) * 0.8);
}

#[test]
fn the_least_busy_of_two_nodes_is_quicker_than_any() {
    let any = Cluster {
        shards: 10,
        replicas: 2,
        ..one(Service::Exponential(1.0))
    };
    let least = Cluster {
        choice: Choice::LeastBusy,
        ..any.clone()
    };
    let (least, any) = (run(&least, 0.7, 20_000), run(&any, 0.7, 20_000));
    assert!(least.percentile_ms(0.99) < any.percentile_ms(0.99) * 0.8);
    near(least.busy, any.busy, 0.02);
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_others() {
    let cluster = Cluster {
        shards: 5,
        replicas: 2,
        hedge_ms: Some(2.0),
        ..one(Service::lognormal(1.0, 5.0).unwrap())
    };
    let of = |seed| {
        let load = Load {
            busy: 0.5,
            queries: 1_000,
            seed,
        };
        simulate(&cluster, load).unwrap()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn what_would_never_be_answered_is_refused() {
    let load = Load {
        busy: 1.0,
        queries: 10,
        seed: 1,
    };
    let cluster = one(Service::Fixed(1.0));
    let error = simulate(&cluster, load).unwrap_err().to_string();
    assert!(error.contains("busy 1"), "{error}");
    let load = Load { busy: 0.5, ..load };
    let hedged = Cluster {
        hedge_ms: Some(1.0),
        ..cluster.clone()
    };
    assert!(simulate(&hedged, load).is_err());
    let none = Cluster {
        shards: 0,
        ..cluster
    };
    assert!(simulate(&none, load).is_err());
}
