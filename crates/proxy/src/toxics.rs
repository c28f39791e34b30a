//! The toxics of a proxy, as links take them: an immutable set with a generation.

use std::sync::Arc;

use crate::error::Error;
use crate::json::Object;
use crate::toxic::{Stream, Toxic};

/// Toxics that a proxy may have in both directions together.
pub const TOXICS_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
pub struct Toxics {
    /// Grows with every change.
    pub generation: u64,
    upstream: Vec<Arc<Toxic>>,
    downstream: Vec<Arc<Toxic>>,
}

impl Toxics {
    /// In the order in which they work.
    pub fn of(&self, stream: Stream) -> &[Arc<Toxic>] {
        match stream {
            Stream::Upstream => &self.upstream,
            Stream::Downstream => &self.downstream,
        }
    }

    /// Those of the upstream direction first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Toxic>> {
        self.upstream.iter().chain(&self.downstream)
    }

    pub fn named(&self, name: &str) -> Result<&Arc<Toxic>, Error> {
        self.all().find(|toxic| toxic.name == name).ok_or_else(Error::toxic_not_found)
    }

    pub fn add(&mut self, id: u64, body: &Object) -> Result<Arc<Toxic>, Error> {
        let toxic = Arc::new(Toxic::read(id, body)?);
        if self.named(&toxic.name).is_ok() {
            return Err(Error::toxic_already_exists());
        }
        if self.all().count() >= TOXICS_MAX {
            return Err(Error::too_many("toxics", TOXICS_MAX));
        }
        self.of_mut(toxic.stream).push(Arc::clone(&toxic));
        self.generation += 1;
        Ok(toxic)
    }

    pub fn update(&mut self, name: &str, body: &Object) -> Result<Arc<Toxic>, Error> {
        let old = self.named(name)?;
        let (id, new) = (old.id, Arc::new(old.updated(body)?));
        for toxic in self.of_mut(new.stream) {
            if toxic.id == id {
                *toxic = Arc::clone(&new);
            }
        }
        self.generation += 1;
        Ok(new)
    }

    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        let toxic = Arc::clone(self.named(name)?);
        self.of_mut(toxic.stream).retain(|other| other.id != toxic.id);
        self.generation += 1;
        Ok(())
    }

    pub fn clear(&mut self) {
        self.upstream.clear();
        self.downstream.clear();
        self.generation += 1;
    }

    fn of_mut(&mut self, stream: Stream) -> &mut Vec<Arc<Toxic>> {
        match stream {
            Stream::Upstream => &mut self.upstream,
            Stream::Downstream => &mut self.downstream,
        }
    }
}
