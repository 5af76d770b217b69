//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), with its moments in the open so that a
//! checkpoint can hold them. Weights are drawn towards where they began, or towards 0.

use candle_core::{Tensor, Var};

use crate::error::Error;

const FIRST: f64 = 0.9;
const SECOND: f64 = 0.999;
const EPSILON: f64 = 1e-8;

pub(crate) struct Adam {
    pub(crate) rate: f64,
    /// How strongly weights are drawn back, a step, over the rate.
    pub(crate) decay: f64,
    pub(crate) steps: u64,
    pub(crate) first: Vec<Tensor>,
    pub(crate) second: Vec<Tensor>,
}

impl Adam {
    pub(crate) fn new(vars: &[Var], (rate, decay): (f64, f64)) -> Result<Self, Error> {
        let zeros = || {
            vars.iter()
                .map(|var| var.zeros_like())
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            rate,
            decay,
            steps: 0,
            first: zeros()?,
            second: zeros()?,
        })
    }

    /// One step down. A weight without a gradient stays.
    pub(crate) fn step(
        &mut self,
        vars: &[Var],
        towards: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<(), Error> {
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let (bias_1, bias_2) = (1.0 - FIRST.powi(steps), 1.0 - SECOND.powi(steps));
        let moments = self.first.iter_mut().zip(&mut self.second);
        let vars = vars.iter().zip(towards).zip(gradients);
        for (((var, towards), gradient), (first, second)) in vars.zip(moments) {
            let Some(gradient) = gradient else {
                continue;
            };
            *first = ((&*first * FIRST)? + (gradient * (1.0 - FIRST))?)?;
            *second = ((&*second * SECOND)? + (gradient.sqr()? * (1.0 - SECOND))?)?;
            let deviation = ((&*second / bias_2)?.sqrt()? + EPSILON)?;
            let along = ((&*first / bias_1)? / deviation)?;
            let old = var.as_tensor().detach();
            let back = ((&old - towards)? * (self.rate * self.decay))?;
            var.set(&((old - (along * self.rate)?)? - back)?)?;
        }
        Ok(())
    }
}
