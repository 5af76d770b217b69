//! JSON Schemas out of the wire types: what is read and what is told are two contracts of one
//! document, and share their named parts.

use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

pub(super) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The schemas of one document.
pub(crate) struct Schemas {
    read: SchemaGenerator,
    told: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        Self {
            read: generator(Contract::Deserialize),
            told: generator(Contract::Serialize),
        }
    }

    /// Of something that clients send.
    pub(crate) fn read(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.read).to_value()
    }

    /// Of something that clients get.
    pub(crate) fn told(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.told).to_value()
    }

    /// A named part of what clients send.
    pub(crate) fn definition(&self, reference: &str) -> Option<&Value> {
        let name = reference.rsplit('/').next()?;
        self.read.definitions().get(name)
    }

    /// The named parts.
    pub(crate) fn components(mut self) -> Map<String, Value> {
        let mut all = self.told.take_definitions(true);
        all.extend(self.read.take_definitions(true));
        all
    }
}

fn generator(contract: Contract) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.contract = contract;
    });
    settings.into_generator()
}
