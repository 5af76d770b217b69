//! Whole trainings on made-up people: that they learn what is there to be learned, come out the same
//! again, go on where they were stopped, and refuse what makes no sense.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use train::{
    Chance, HeadShape, Loss, Mining, Model, NetworkShape, Samples, Settings, Shape, Stage,
    Training, separation,
};

/// Numbers in a vector, of which only the first `OWN` tell people apart; the others are larger, and
/// chance alone.
const DIM: usize = 24;
const OWN: usize = 6;

fn person_numbers(seed: u64, people: std::ops::Range<u32>, photos: usize) -> Samples {
    let mut chance = Chance::new(seed);
    let (mut values, mut whose) = (Vec::new(), Vec::new());
    for person in people {
        let own: Vec<f64> = (0..OWN).map(|_| chance.normal()).collect();
        // Every fourth has one photo only.
        let photos = if person % 4 == 3 { 1 } else { photos };
        for _ in 0..photos {
            let clear = own
                .iter()
                .map(|x| x + 0.2 * chance.normal())
                .collect::<Vec<_>>();
            let blur = (OWN..DIM)
                .map(|_| 1.5 * chance.normal())
                .collect::<Vec<_>>();
            let vector = [clear, blur].concat();
            let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
            values.extend(vector.iter().map(|x| (x / length) as f32));
            whose.push(person);
        }
    }
    Samples::new(&[DIM], values, whose).unwrap()
}

fn linear() -> Shape {
    Shape::Head(HeadShape {
        input: DIM,
        hidden: None,
        output: 12,
    })
}

fn settings(loss: Loss) -> Settings {
    Settings {
        loss,
        mining: Mining::Hardest,
        people: 12,
        photos: 3,
        strangers: 8,
        batches: 10,
        epochs: 20,
        patience: 20,
        varied: false,
        rate: 0.01,
        decay: 0.0,
        seed: 3,
    }
}

fn trained(shape: Shape, settings: Settings, data: (&Samples, &Samples)) -> (f64, Model) {
    let mut training = Training::begin(shape, settings, data).unwrap();
    let start = training.best();
    let before = separation(&start.vectors(data.1).unwrap(), data.1.people());
    while !training.done().1 {
        training.epoch().unwrap();
    }
    (before, training.best())
}

#[test]
fn each_loss_learns_what_tells_people_apart_and_it_holds_for_others() {
    let data = (person_numbers(1, 0..60, 4), person_numbers(2, 100..140, 4));
    let unseen = person_numbers(9, 200..240, 4);
    let hidden = Shape::Head(HeadShape {
        input: DIM,
        hidden: Some(16),
        output: 12,
    });
    let cases = [
        (linear(), Loss::Quadruplet),
        (linear(), Loss::Triplet),
        (linear(), Loss::Contrastive),
        (hidden, Loss::Quadruplet),
    ];
    let plain: Vec<Vec<f32>> = unseen.rows().map(<[f32]>::to_vec).collect();
    let plain = separation(&plain, unseen.people());
    for (shape, loss) in cases {
        let (_, model) = trained(shape.clone(), settings(loss), (&data.0, &data.1));
        let after = separation(&model.vectors(&unseen).unwrap(), unseen.people());
        assert!(
            after < plain - 0.5,
            "{shape:?}, {loss:?}: {plain} before, {after} after"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_network_bit_for_bit_and_another_seed_another() {
    let data = (person_numbers(1, 0..40, 4), person_numbers(2, 100..120, 4));
    let few = |seed: u64| Settings {
        epochs: 3,
        seed,
        ..settings(Loss::Quadruplet)
    };
    let of = |seed: u64| {
        let (_, model) = trained(linear(), few(seed), (&data.0, &data.1));
        model
            .weights()
            .unwrap()
            .iter()
            .map(|x| x.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(3), of(3));
    assert_ne!(of(3), of(4));
}

#[test]
fn a_training_that_was_stopped_goes_on_as_if_it_had_not_been() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("head.training");
    let data = (person_numbers(1, 0..40, 4), person_numbers(2, 100..120, 4));
    let data = (&data.0, &data.1);
    let settings = Settings {
        epochs: 6,
        ..settings(Loss::Quadruplet)
    };
    let begin = || Training::begin(linear(), settings.clone(), data).unwrap();
    let mut whole = begin();
    let straight: Vec<_> = (0..6).map(|_| whole.epoch().unwrap()).collect();
    let mut first = begin();
    assert!(!first.resume(&path).unwrap());
    let mut parts: Vec<_> = (0..3).map(|_| first.epoch().unwrap()).collect();
    first.save(&path).unwrap();
    let mut second = begin();
    assert!(second.resume(&path).unwrap());
    assert_eq!(second.done(), (3, false));
    parts.extend((0..3).map(|_| second.epoch().unwrap()));
    assert_eq!(parts, straight);
    assert_eq!(
        second.best().weights().unwrap(),
        whole.best().weights().unwrap()
    );
    assert!(second.done().1);
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_another_training_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("head.training");
    let data = (person_numbers(1, 0..40, 4), person_numbers(2, 100..120, 4));
    let data = (&data.0, &data.1);
    let begin = |seed: u64| {
        let settings = Settings {
            seed,
            ..settings(Loss::Quadruplet)
        };
        Training::begin(linear(), settings, data).unwrap()
    };
    begin(3).save(&path).unwrap();
    let refused = begin(4).resume(&path).unwrap_err().to_string();
    assert!(
        refused.contains("head.training") && refused.contains("other settings"),
        "{refused}"
    );
    let good = std::fs::read(&path).unwrap();
    for at in [0, 30, 100, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let refused = begin(3).resume(&path).unwrap_err().to_string();
        assert!(refused.contains("head.training"), "byte {at}: {refused}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(begin(3).resume(&path).is_err(), "cut at {at}");
    }
    std::fs::write(&path, &good).unwrap();
    assert!(begin(3).resume(&path).unwrap());
}

#[test]
fn it_ends_when_the_people_who_are_watched_are_told_apart_no_better() {
    let samples = person_numbers(1, 0..40, 4);
    let watched = person_numbers(2, 100..120, 4);
    let settings = Settings {
        epochs: 1_000,
        patience: 2,
        batches: 1,
        rate: 1e-12,
        ..settings(Loss::Triplet)
    };
    let mut training = Training::begin(linear(), settings, (&samples, &watched)).unwrap();
    let mut epochs = 0;
    while !training.done().1 {
        training.epoch().unwrap();
        epochs += 1;
    }
    assert!(epochs < 50, "{epochs}");
}

#[test]
fn what_cannot_be_learned_from_is_told() {
    let samples = person_numbers(1, 0..40, 4);
    let watched = person_numbers(2, 100..120, 4);
    let told = |shape: Shape, settings: Settings, samples: &Samples, watched: &Samples| {
        Training::begin(shape, settings, (samples, watched))
            .err()
            .unwrap()
            .to_string()
    };
    let fine = || settings(Loss::Quadruplet);
    let wide = Shape::Head(HeadShape {
        input: DIM,
        hidden: None,
        output: 25,
    });
    let other = Shape::Head(HeadShape {
        input: 25,
        hidden: None,
        output: 5,
    });
    assert!(told(wide, fine(), &samples, &watched).contains("2 to 24"));
    assert!(told(other, fine(), &samples, &watched).contains("[25]"));
    let zero = Settings {
        people: 2,
        ..fine()
    };
    assert!(told(linear(), zero, &samples, &watched).contains("people must be 3"));
    let zero = Settings {
        rate: 0.0,
        ..fine()
    };
    assert!(told(linear(), zero, &samples, &watched).contains("rate"));
    assert!(told(linear(), fine(), &samples, &samples).contains("watched"));
    let ones = person_numbers(2, 203..204, 1);
    assert!(told(linear(), fine(), &samples, &ones).contains("two photos"));
    assert!(told(linear(), fine(), &ones, &watched).contains("3 are the least"));
    let bad = Samples::new(&[2], vec![1.0, 2.0, f32::NAN, 1.0], vec![1, 2]);
    assert!(bad.unwrap_err().to_string().contains("sample 1"));
}

/// Photos of 16 x 16 pixels: a person is three waves of colour; a photo of them is moved by a pixel, darker
/// or lighter, and has noise.
fn photos_of(seed: u64, people: std::ops::Range<u32>) -> Samples {
    let mut chance = Chance::new(seed);
    let (mut values, mut whose) = (Vec::new(), Vec::new());
    for person in people {
        let waves: Vec<[f64; 4]> = (0..9)
            .map(|_| {
                let [a, b] = [chance.unit(), chance.unit()].map(|x| 1.2 * (x - 0.5));
                [a, b, 6.3 * chance.unit(), 0.5 + chance.unit()]
            })
            .collect();
        for _ in 0..4 {
            let [right, down] = [chance.normal(), chance.normal()].map(|x| 0.5 * x);
            let light = 1.0 + 0.2 * chance.normal();
            for (colour, y, x) in
                (0..3).flat_map(|c| (0..16).flat_map(move |y| (0..16).map(move |x| (c, y, x))))
            {
                let (x, y) = (f64::from(x) + right, f64::from(y) + down);
                let own = waves[3 * colour..3 * colour + 3].iter();
                let wave: f64 = own
                    .map(|[a, b, at, high]| high * (a * x + b * y + at).sin())
                    .sum();
                #[expect(clippy::cast_possible_truncation, reason = "pixels are f32")]
                values.push((light * wave / 2.0 + 0.2 * chance.normal()) as f32);
            }
            whose.push(person);
        }
    }
    Samples::new(&[3, 16, 16], values, whose).unwrap()
}

fn right(vectors: &[Vec<f32>], people: &[u32]) -> f64 {
    let nearest = train::nearest(vectors);
    let right = nearest
        .iter()
        .enumerate()
        .filter(|(at, near)| people[near[0]] == people[*at]);
    right.count() as f64 / people.len() as f64
}

fn small_network() -> Shape {
    let stage = |width, halves| Stage {
        width,
        wider: 2,
        blocks: 1,
        halves,
    };
    Shape::Network(NetworkShape {
        side: 16,
        first: 8,
        stages: vec![stage(8, false), stage(12, true)],
        last: 24,
        output: 16,
    })
}

#[test]
fn a_network_that_is_shown_photos_mirrored_and_moved_goes_on_as_if_it_had_not_been_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.training");
    let data = (photos_of(1, 0..8), photos_of(2, 100..104));
    let settings = Settings {
        people: 4,
        strangers: 0,
        batches: 2,
        epochs: 2,
        varied: true,
        ..settings(Loss::Quadruplet)
    };
    let begin = || Training::begin(small_network(), settings.clone(), (&data.0, &data.1)).unwrap();
    let mut whole = begin();
    let mut batches = Vec::new();
    let straight = [
        whole.epoch_told(&mut |batch| batches.push(batch)).unwrap(),
        whole.epoch().unwrap(),
    ];
    assert_eq!(batches, [1, 2]);
    let mut first = begin();
    let before = first.epoch().unwrap();
    first.save(&path).unwrap();
    let mut second = begin();
    assert!(second.resume(&path).unwrap());
    assert_eq!([before, second.epoch().unwrap()], straight);
    let as_they_are = Settings {
        varied: false,
        ..settings.clone()
    };
    let mut other = Training::begin(small_network(), as_they_are, (&data.0, &data.1)).unwrap();
    assert_ne!(other.epoch().unwrap().loss, straight[0].loss);
}

#[test]
fn a_small_network_learns_a_tiny_set_by_heart_and_tells_others_apart_better_than_chance() {
    let samples = photos_of(1, 0..16);
    let watched = photos_of(2, 100..108);
    let unseen = photos_of(3, 200..216);
    let settings = Settings {
        people: 8,
        photos: 4,
        strangers: 0,
        batches: 12,
        epochs: 8,
        patience: 8,
        rate: 0.005,
        decay: 0.0,
        ..settings(Loss::Quadruplet)
    };
    let mut training = Training::begin(small_network(), settings, (&samples, &watched)).unwrap();
    let first = training.epoch().unwrap();
    let mut last = first;
    while !training.done().1 {
        last = training.epoch().unwrap();
    }
    assert!(last.loss < first.loss / 2.0, "{first:?} {last:?}");
    let model = training.best();
    let by_heart = right(&model.vectors(&samples).unwrap(), samples.people());
    assert!(by_heart > 0.98, "{by_heart}");
    // By chance 3 of 63 others are of the same person.
    let others = right(&model.vectors(&unseen).unwrap(), unseen.people());
    assert!(others > 0.5, "{others}");
}
