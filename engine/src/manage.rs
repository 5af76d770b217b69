//! What collections are made of and what they are called: made, changed, dropped, given aliases.
//!
//! Whoever decides about names and settings holds `naming` until the decision has been applied, so
//! that each is decided on what the one before has made of it.

use std::collections::BTreeMap;

use storage::{CollectionConfig, CollectionId, Record};

use crate::convert;
use crate::decide::Basis;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::{MAX_ALIAS_CHANGES, MAX_ALIASES, MAX_COLLECTIONS};
use crate::meant::Meant;
use crate::point::{Ack, Payload, Written};
use crate::settings::Settings;
use crate::spec::{CollectionSpec, SHARDS, VectorSpec, check_name};

/// A change of a collection's settings; what is `None` or not named stays as it is.
#[derive(Debug, Clone, Default)]
pub struct CollectionChange {
    /// Merged into the metadata key by key; a null takes its key away.
    pub metadata: Option<Payload>,
    /// By the vectors' names: candidates that are considered when a point is inserted.
    pub ef_construct: BTreeMap<String, usize>,
}

/// A change of aliases; several are done as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasChange {
    /// The alias stands for this collection, whatever it stood for before.
    Create {
        /// The other name.
        alias: String,
        /// The collection's.
        collection: String,
    },
    /// The alias goes, if it is there.
    Delete {
        /// Which.
        alias: String,
    },
    /// The alias gets another name.
    Rename {
        /// The name it has.
        from: String,
        /// The one it gets.
        to: String,
    },
}

impl Engine {
    /// Makes a collection.
    pub fn create_collection(
        &self,
        name: &str,
        spec: impl Into<CollectionSpec>,
    ) -> Result<(), Error> {
        check_name(name)?;
        let settings = Settings::new(spec.into())?;
        let config = convert::config(name, &settings)?;
        self.decided(|| self.create_once(name, &config))
    }

    fn create_once(&self, name: &str, config: &CollectionConfig) -> Result<(), Error> {
        let deciding = self.on_names();
        let catalog = &self.shared().catalog;
        if catalog.has_name(name) {
            return Err(Error::Exists(name.into()));
        }
        if let Some(target) = catalog.aliases().get(name) {
            let target = catalog.by_id(*target).map(|target| target.name.clone());
            return Err(Error::Conflict(format!(
                "`{name}` is an alias of collection `{}`",
                target.unwrap_or_default()
            )));
        }
        if catalog.len() >= MAX_COLLECTIONS {
            return Err(Error::TooLarge(format!(
                "there may be at most {MAX_COLLECTIONS} collections"
            )));
        }
        let id = catalog.next_id();
        let config = config.clone();
        let record = Record::CreateCollection { id, config };
        self.write(deciding.basis, record, Ack::Applied)?;
        Ok(())
    }

    /// Drops a collection with all its points and aliases; `false` if there was none. An alias is
    /// refused here, so that nobody drops what they did not name.
    pub fn drop_collection(&self, name: &str) -> Result<bool, Error> {
        check_name(name)?;
        self.decided(|| self.drop_once(name))
    }

    fn drop_once(&self, name: &str) -> Result<bool, Error> {
        let deciding = self.on_names();
        let Some(collection) = self.shared().catalog.by_name(name) else {
            let damaged = self.quarantined_as(name);
            let Some(damaged) = damaged.filter(|it| it.name() == name) else {
                return Ok(false);
            };
            let id = damaged.entry.id;
            self.write(deciding.basis, Record::DropCollection { id }, Ack::Applied)?;
            return Ok(true);
        };
        called_by_its_name(&collection.name, name)?;
        let record = Record::DropCollection { id: collection.id };
        self.write(deciding.basis, record, Ack::Applied)?;
        Ok(true)
    }

    /// Drops a collection that has no points; `false` if there was none. Whoever has been told that points of
    /// theirs were put in and are found loses none.
    ///
    /// # Errors
    /// It has points, is not served, or is called by an alias.
    pub fn drop_empty_collection(&self, name: &str) -> Result<bool, Error> {
        check_name(name)?;
        self.decided(|| self.drop_empty_once(name))
    }

    fn drop_empty_once(&self, name: &str) -> Result<bool, Error> {
        // Of one that is damaged, or spread over shards, it is not known here.
        let collection = match self.holder(name) {
            Err(Error::NoCollection(_)) => return Ok(false),
            collection => collection?,
        };
        called_by_its_name(&collection.name, name)?;
        let deciding = self.alone(&collection);
        self.shared().wait_applied()?;
        let _naming = self.naming.lock();
        let is_there = self.shared().catalog.by_id(collection.id).is_some();
        match collection.len() {
            0 if is_there => {}
            // Somebody was first.
            _ if !is_there => return Ok(false),
            points => {
                return Err(Error::Conflict(format!(
                    "collection `{name}` has {points} points, and is to be dropped only if it has none"
                )));
            }
        }
        let record = Record::DropCollection { id: collection.id };
        self.write(deciding.basis, record, Ack::Applied)?;
        Ok(true)
    }

    /// Changes settings of a collection.
    ///
    /// # Errors
    /// There is no such collection, or it is another one than is meant; or a setting cannot be so.
    pub fn update_collection<'a>(
        &self,
        collection: impl Into<Meant<'a>>,
        change: CollectionChange,
    ) -> Result<Written, Error> {
        self.configure(collection, |settings| {
            for (vector, ef_construct) in &change.ef_construct {
                let mut spec = settings.by_name(vector)?.spec.clone();
                spec.ef_construct = *ef_construct;
                settings.change(vector, spec)?;
            }
            let Some(changed) = &change.metadata else {
                return Ok(());
            };
            if changed.contains_key(SHARDS) {
                return Err(Error::Conflict(format!(
                    "`metadata.{SHARDS}` cannot change: it says where a collection's points are"
                )));
            }
            let mut metadata = settings.metadata.clone();
            for (key, value) in changed {
                match value {
                    serde_json::Value::Null => drop(metadata.remove(key)),
                    value => drop(metadata.insert(key.clone(), value.clone())),
                }
            }
            settings.set_metadata(metadata)
        })
    }

    /// Adds a vector that points may have from now on. Nothing happens when there is exactly such
    /// a one already.
    pub fn add_vector<'a>(
        &self,
        collection: impl Into<Meant<'a>>,
        vector: &str,
        spec: VectorSpec,
    ) -> Result<Written, Error> {
        let meant = collection.into();
        self.configure(meant, |settings| {
            added(settings, meant.name, (vector, &spec))
        })
    }

    /// The same of a vector that is made of another one of each point, as a head's are of its base's: from
    /// now on whoever puts another vector there takes the one away that was made of the former, in the same
    /// record, unless it comes along.
    ///
    /// # Errors
    /// As above; or there is no vector that it could be made of.
    pub fn add_vector_made_of<'a>(
        &self,
        collection: impl Into<Meant<'a>>,
        (of, vector): (&str, &str),
        spec: VectorSpec,
    ) -> Result<Written, Error> {
        let meant = collection.into();
        self.configure(meant, |settings| {
            let of = settings.by_name(of)?.id;
            added(settings, meant.name, (vector, &spec))?;
            settings.note_made(vector, of);
            Ok(())
        })
    }

    /// Takes a vector away from a collection and all its points; `None` if there was none.
    pub fn remove_vector(&self, name: &str, vector: &str) -> Result<Option<Written>, Error> {
        let mut was_there = false;
        let written = self.configure(name, |settings| {
            was_there = settings.remove(vector);
            Ok(())
        })?;
        Ok(was_there.then_some(written))
    }

    pub(crate) fn configure<'a>(
        &self,
        collection: impl Into<Meant<'a>>,
        mut change: impl FnMut(&mut Settings) -> Result<(), Error>,
    ) -> Result<Written, Error> {
        let meant = collection.into();
        self.decided(|| {
            let deciding = self.on_names();
            self.configure_on(deciding.basis, meant, &mut change)
        })
    }

    /// The same as part of another decision; to be called while nobody else decides about names.
    pub(crate) fn configure_on(
        &self,
        basis: Basis,
        meant: Meant<'_>,
        change: &mut dyn FnMut(&mut Settings) -> Result<(), Error>,
    ) -> Result<Written, Error> {
        let collection = self.collection(meant.name)?;
        meant.check(&collection)?;
        let before = collection.settings();
        let mut after = Settings::clone(&before);
        change(&mut after)?;
        if after == *before {
            let lsn = self.applied_lsn();
            return Ok(Written { lsn });
        }
        let config = convert::config(&collection.name, &after)?;
        let vectors = (after.vectors != before.vectors).then_some(config.vectors);
        let metadata = (after.metadata != before.metadata).then_some(config.metadata);
        let record = Record::Configure {
            collection: collection.id,
            vectors,
            metadata,
        };
        self.write(basis, record, Ack::Applied)
    }

    /// The aliases there are, each with the name of its collection.
    pub fn aliases(&self) -> Vec<(String, String)> {
        let catalog = &self.shared().catalog;
        let aliases = catalog.aliases().into_iter();
        aliases
            .filter_map(|(alias, id)| Some((alias, catalog.by_id(id)?.name.clone())))
            .collect()
    }

    /// Changes aliases, all or none, in one step for everybody who looks.
    pub fn change_aliases(&self, changes: &[AliasChange]) -> Result<(), Error> {
        if changes.len() > MAX_ALIAS_CHANGES {
            return Err(Error::TooLarge(format!(
                "{} changes of aliases at once, the limit is {MAX_ALIAS_CHANGES}",
                changes.len()
            )));
        }
        self.decided(|| self.change_aliases_once(changes))
    }

    fn change_aliases_once(&self, changes: &[AliasChange]) -> Result<(), Error> {
        let deciding = self.on_names();
        let before = self.shared().catalog.aliases();
        let mut after = before.clone();
        for change in changes {
            self.change_alias(&mut after, change)?;
        }
        if after.len() > MAX_ALIASES {
            return Err(Error::TooLarge(format!(
                "there may be at most {MAX_ALIASES} aliases"
            )));
        }
        let gone = before.keys().filter(|alias| !after.contains_key(*alias));
        let mut decided: Vec<_> = gone.map(|alias| (alias.clone(), None)).collect();
        let set = after
            .iter()
            .filter(|(alias, id)| before.get(*alias) != Some(id));
        decided.extend(set.map(|(alias, id)| (alias.clone(), Some(*id))));
        if !decided.is_empty() {
            let record = Record::ChangeAliases { changes: decided };
            self.write(deciding.basis, record, Ack::Applied)?;
        }
        Ok(())
    }

    fn change_alias(
        &self,
        aliases: &mut BTreeMap<String, CollectionId>,
        change: &AliasChange,
    ) -> Result<(), Error> {
        match change {
            AliasChange::Create { alias, collection } => {
                check_name(collection)?;
                let known = self.shared().catalog.by_own_name(collection);
                let id = known.map(|known| known.id);
                let id = id.or_else(|| aliases.get(collection).copied());
                let id = id.ok_or_else(|| Error::NoCollection(collection.clone()))?;
                self.check_alias(alias)?;
                aliases.insert(alias.clone(), id);
            }
            AliasChange::Delete { alias } => {
                aliases.remove(alias);
            }
            AliasChange::Rename { from, to } => {
                self.check_alias(to)?;
                if from != to && aliases.contains_key(to) {
                    return Err(Error::Conflict(format!(
                        "there is an alias `{to}` already: delete it in the same list first"
                    )));
                }
                let id = aliases.remove(from);
                let id = id.ok_or_else(|| Error::NoAlias(from.chars().take(80).collect()))?;
                aliases.insert(to.clone(), id);
            }
        }
        Ok(())
    }

    /// An alias is named by the rules of collections, and not as one of them.
    fn check_alias(&self, alias: &str) -> Result<(), Error> {
        check_name(alias)?;
        if self.shared().catalog.has_name(alias) {
            return Err(Error::Conflict(format!(
                "`{alias}` cannot be an alias: a collection has this name"
            )));
        }
        Ok(())
    }
}

/// Refuses an alias, so that nobody drops what they did not name.
fn called_by_its_name(own: &str, name: &str) -> Result<(), Error> {
    match own == name {
        true => Ok(()),
        false => Err(Error::BadRequest(format!(
            "`{name}` is an alias of collection `{own}`: delete the alias, or name the collection"
        ))),
    }
}

fn added(
    settings: &mut Settings,
    collection: &str,
    (vector, spec): (&str, &VectorSpec),
) -> Result<(), Error> {
    match settings.find(vector) {
        Some(there) if there.spec == *spec => Ok(()),
        Some(_) => Err(Error::Conflict(format!(
            "collection `{collection}` has a vector `{vector}` already, with other settings"
        ))),
        None => settings.add_named(vector, spec.clone()),
    }
}
