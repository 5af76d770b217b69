//! The second go through a source: the photos that are not there yet, in batches, asked for as they are
//! needed. It holds a few hundred photos at a time, whatever the source holds.

use std::collections::VecDeque;

use anyhow::Result;

use super::batch;
use super::photo::{Found, OnDisk, Photo};
use super::report::{NAMED_BEFORE, Refused, Skipped};
use super::seen::Seen;
use super::source::Entries;
use crate::client::Client;
use crate::limits;

/// What comes next.
pub(super) enum Next {
    /// Photos for one request.
    Batch(Vec<Photo>),
    /// So many are there already.
    Known(usize),
    /// A file that turned out to be none that can be sent.
    Skipped(Skipped),
    /// A photo that is named and cannot be read.
    Refused(Refused),
}

/// Photos that a collection lacks.
pub(super) struct Fresh<'a> {
    client: &'a Client,
    collection: &'a str,
    entries: Entries,
    seen: Seen,
    waiting: VecDeque<Next>,
}

impl<'a> Fresh<'a> {
    pub(super) fn of(entries: Entries, client: &'a Client, collection: &'a str) -> Self {
        Self {
            client,
            collection,
            entries,
            seen: Seen::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Asks of the next photos which are there; nothing is waiting at the end.
    fn refill(&mut self) -> Result<()> {
        let mut photos = Vec::new();
        // Files that cannot be read wait too: a folder may be full of them.
        while photos.len() + self.waiting.len() < limits::KNOWN_IDS
            && let Some(found) = self.entries.next().transpose()?
        {
            // What the first go has left out is known already.
            let Found::Photo(photo) = found else { continue };
            if !self.seen.is_new(&photo.id) {
                self.waiting.push_back(Next::Skipped(Skipped {
                    file: photo.file,
                    row: photo.row,
                    reason: NAMED_BEFORE.to_owned(),
                }));
                continue;
            }
            match photo.sized() {
                OnDisk::Photo(photo) => photos.push(photo),
                OnDisk::Skipped(file) => self.waiting.push_back(Next::Skipped(file)),
                OnDisk::Refused(photo) => self.waiting.push_back(Next::Refused(photo)),
            }
        }
        if photos.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = photos.iter().map(|photo| photo.id).collect();
        let known = self.client.known_ids(self.collection, &ids)?;
        let asked = photos.len();
        photos.retain(|photo| !known.contains(&photo.id));
        if asked > photos.len() {
            self.waiting.push_back(Next::Known(asked - photos.len()));
        }
        let batches = batch::split(photos).into_iter();
        self.waiting.extend(batches.map(Next::Batch));
        Ok(())
    }
}

impl Iterator for Fresh<'_> {
    type Item = Result<Next>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.waiting.is_empty()
            && let Err(error) = self.refill()
        {
            return Some(Err(error));
        }
        self.waiting.pop_front().map(Ok)
    }
}
