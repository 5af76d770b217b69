//! `doppel people` and `doppel cluster`: who is in a collection, and who may be. The result of a
//! clustering goes to standard output as it came.

use std::fmt::Write;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::exit::Exit;
use crate::target::ServerOrFolderArgs;
use crate::{job, out};

/// What can be done with people.
#[derive(Debug, Subcommand)]
pub(crate) enum PeopleCommand {
    /// List the people of a collection, how many faces each has, and the best of them
    List(ListArgs),
    /// Give all faces of a person another name
    Rename(RenameArgs),
    /// Say something of a person: attributes, the face that is shown, whether searches leave them out
    Set(SetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    collection: String,
    /// Only people whose name has this in it, whatever the case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    from: ServerOrFolderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The name that the person has
    old: String,
    /// The name that the person gets
    new: String,
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    collection: String,
    /// Make one person of both, where somebody has the new name
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    target: ServerOrFolderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The name that the person has
    name: String,
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    collection: String,
    /// Whether searches for look-alikes leave the person out
    #[arg(long, value_name = "BOOL")]
    ignored: Option<bool>,
    /// The id of the face that is shown for the person
    #[arg(long, value_name = "ID")]
    best: Option<String>,
    /// An attribute; its value is JSON, or else a text; null takes it away
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::arguments::key_and_value)]
    attribute: Vec<(String, String)>,
    #[command(flatten)]
    target: ServerOrFolderArgs,
}

impl SetArgs {
    fn body(&self) -> Value {
        let json = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        let mut body = json!({"name": self.name});
        if let Some(ignored) = self.ignored {
            body["ignored"] = json!(ignored);
        }
        if let Some(best) = &self.best {
            body["best"] = json(best);
        }
        let attributes = self.attribute.iter();
        let attributes: Map<String, Value> = attributes
            .map(|(key, value)| (key.clone(), json(value)))
            .collect();
        if !attributes.is_empty() {
            body["attributes"] = Value::Object(attributes);
        }
        body
    }
}

#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    collection: String,
    /// Least cosine of two faces that may be of one person; by the model and the number of faces if not given
    #[arg(long, value_name = "COSINE", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Neighbours that each face is asked for
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    neighbours: usize,
    /// Faces of the smallest group that is proposed
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    min_faces: usize,
    /// Give faces without a person the name of their group
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    pub(crate) target: ServerOrFolderArgs,
}

impl PeopleCommand {
    /// Where the people are.
    pub(crate) fn target(&self) -> &ServerOrFolderArgs {
        match self {
            Self::List(arguments) => &arguments.from,
            Self::Rename(arguments) => &arguments.target,
            Self::Set(arguments) => &arguments.target,
        }
    }
}

/// Lists people or renames one.
pub(crate) fn run(command: &PeopleCommand, client: &Client) -> Result<Exit> {
    match command {
        PeopleCommand::List(arguments) => list(arguments, client),
        PeopleCommand::Set(arguments) => {
            let person = client.change_person(&arguments.collection, &arguments.body())?;
            out::print(&(serde_json::to_string_pretty(&person)? + "\n"))?;
            Ok(Exit::Success)
        }
        PeopleCommand::Rename(arguments) => {
            let body = json!({
                "from": arguments.old, "to": arguments.new, "merge": arguments.merge,
            });
            let renamed = client.rename_person(&arguments.collection, &body)?;
            let (changed, new) = (&renamed["changed"], &arguments.new);
            out::print(&format!("{changed} faces are of `{new}` now\n"))?;
            Ok(Exit::Success)
        }
    }
}

fn list(arguments: &ListArgs, client: &Client) -> Result<Exit> {
    let mut from: Option<String> = None;
    loop {
        let search = arguments.search.as_deref();
        let page = client.people(&arguments.collection, search, from.as_deref())?;
        let mut text = String::new();
        for person in &page.people {
            let best = person.best.as_ref().map(Value::to_string);
            let (faces, best) = (person.faces, best.unwrap_or_else(|| "-".to_owned()));
            writeln!(text, "{faces:>7}  {best:<38}  {}", person.name)
                .expect("writing to a string never fails");
        }
        out::print(&text)?;
        from = page.next_page_offset;
        if from.is_none() {
            return Ok(Exit::Success);
        }
    }
}

/// Has the faces grouped, waits for it, and prints what came of it.
pub(crate) fn cluster(arguments: &ClusterArgs, client: &Client) -> Result<Exit> {
    let mut body = json!({
        "neighbours": arguments.neighbours,
        "min_faces": arguments.min_faces,
        "write": arguments.write,
    });
    if let Some(threshold) = arguments.threshold {
        body["threshold"] = json!(threshold);
    }
    let job = client.cluster(&arguments.collection, &body)?;
    let result = job::wait(client, job, "faces")?;
    out::print(&(serde_json::to_string_pretty(&result)? + "\n"))?;
    Ok(Exit::Success)
}
