//! Things that several trials need: each is made once, by whoever asks first, while the others wait for it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What is being made, or was: the thing, or why it cannot be made.
type Place<T> = Arc<OnceLock<Result<Arc<T>, String>>>;

/// The things that were asked for last, by their keys. Who holds one keeps it, on the shelf or not.
pub(super) struct Shelf<T> {
    most: usize,
    /// The one that was asked for last stands at the end.
    places: Mutex<Vec<(String, Place<T>)>>,
}

impl<T> Shelf<T> {
    /// A shelf for so many things; with room for none, each thing is made anew for whoever asks.
    pub(super) fn new(most: usize) -> Shelf<T> {
        Shelf { most, places: Mutex::default() }
    }

    /// The thing of that key, made if it is not there.
    ///
    /// # Errors
    /// Whatever making it says, to everybody who asks.
    pub(super) fn get(&self, key: &str, make: impl FnOnce() -> Result<T, String>) -> Result<Arc<T>, String> {
        if self.most == 0 {
            return make().map(Arc::new);
        }
        self.place(key).get_or_init(|| make().map(Arc::new)).clone()
    }

    /// Puts a thing there that was made already.
    pub(super) fn put(&self, key: &str, thing: T) -> Arc<T> {
        let thing = Arc::new(thing);
        // Where another one is there already, equal keys mean equal things.
        let _ = self.place(key).set(Ok(thing.clone()));
        thing
    }

    fn place(&self, key: &str) -> Place<T> {
        // A poisoned lock only means that a thread panicked between two whole changes of the list.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.iter().position(|(other, _)| other == key);
        let entry = match known {
            Some(index) => places.remove(index),
            None => (key.to_owned(), Place::default()),
        };
        let place = entry.1.clone();
        places.push(entry);
        if places.len() > self.most.max(1) {
            places.remove(0);
        }
        place
    }
}
