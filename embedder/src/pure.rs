//! Networks on `tract`, which is Rust alone, where there is no ONNX Runtime. Its numbers are that one's but for rounding
//! (`without_the_library_faces_are_the_same_but_for_rounding`).

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, Tensor,
    TypedRunnableModel, tvec,
};

use crate::error::Error;

/// A network, ready to run, and what it has answered last.
pub(crate) struct Pure {
    file: PathBuf,
    model: InferenceModel,
    /// The names of its outputs, in their order.
    names: Vec<String>,
    /// What runs it on one thing of this shape: of several each is run alone.
    plan: Option<(Vec<usize>, Arc<TypedRunnableModel>)>,
    answered: Vec<(String, Vec<f32>)>,
}

impl Pure {
    pub(crate) fn load(file: &Path) -> Result<Self, Error> {
        let fail = |error: &dyn Display| failed(file, error);
        let onnx = tract_onnx::onnx();
        let proto = onnx.proto_model_for_path(file).map_err(|it| fail(&it))?;
        let model = onnx.model_for_proto_model(&proto).map_err(|it| fail(&it))?;
        let outputs = proto.graph.into_iter().flat_map(|graph| graph.output);
        Ok(Self {
            file: file.to_owned(),
            model,
            names: outputs.map(|output| output.name).collect(),
            plan: None,
            answered: Vec::new(),
        })
    }

    /// What it answers to things of this shape, whose first side is how many there are.
    pub(crate) fn run(
        &mut self,
        shape: &[usize],
        numbers: &[f32],
    ) -> Result<&[(String, Vec<f32>)], Error> {
        let one = [&[1], shape.get(1..).unwrap_or_default()].concat();
        let plan = self.plan_for(&one)?;
        let fail = |error: &dyn Display| failed(&self.file, error);
        let mut answered: Vec<_> = self
            .names
            .iter()
            .map(|it| (it.clone(), Vec::new()))
            .collect();
        for thing in numbers.chunks_exact(one.iter().product::<usize>().max(1)) {
            let thing = Tensor::from_shape(&one, thing).map_err(|it| fail(&it))?;
            let outputs = plan.run(tvec!(thing.into())).map_err(|it| fail(&it))?;
            for ((_, all), output) in answered.iter_mut().zip(&outputs) {
                let output = output
                    .to_plain_array_view::<f32>()
                    .map_err(|it| fail(&it))?;
                all.extend(output.iter());
            }
        }
        self.answered = answered;
        Ok(&self.answered)
    }

    fn plan_for(&mut self, shape: &[usize]) -> Result<Arc<TypedRunnableModel>, Error> {
        if let Some((_, plan)) = self.plan.as_ref().filter(|(planned, _)| planned == shape) {
            return Ok(Arc::clone(plan));
        }
        let fact = InferenceFact::dt_shape(DatumType::F32, shape);
        let model = self.model.clone().with_input_fact(0, fact);
        let plan = model.and_then(|model| model.into_optimized()?.into_runnable());
        let plan = plan.map_err(|error| failed(&self.file, &error))?;
        self.plan = Some((shape.to_owned(), Arc::clone(&plan)));
        Ok(plan)
    }
}

fn failed(file: &Path, error: &dyn Display) -> Error {
    Error::Model(format!("{}: {error:#}", file.display()))
}

/// The numbers of the first output.
pub(crate) fn first(outputs: &[(String, Vec<f32>)]) -> Result<&[f32], Error> {
    let first = outputs.first().map(|(_, numbers)| numbers.as_slice());
    first.ok_or_else(|| Error::Model("the network has no output".into()))
}

/// Those of the output of this name, if there is one.
pub(crate) fn named<'a>(outputs: &'a [(String, Vec<f32>)], name: &str) -> Option<&'a [f32]> {
    let found = outputs.iter().find(|(own, _)| own == name);
    found.map(|(_, numbers)| numbers.as_slice())
}
