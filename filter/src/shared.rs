//! What all workers of one host share: small values by name, each replaced only by whoever has seen it last.

/// Shared data of the host. Names cannot be deleted there, so there is a fixed number of them.
pub trait SharedData {
    /// The value of a name, empty where there is none, and the number of its last change.
    fn get(&mut self, name: &str) -> (Vec<u8>, u32);

    /// Replaces a value that was last seen with that number. False where somebody else was faster.
    fn replace(&mut self, name: &str, value: &[u8], seen: u32) -> bool;
}

/// Attempts at what must be kept, where others try at the same moment.
pub(crate) const TRIES: usize = 100;

/// Changes a value, in so many attempts where others change it at the same moment. `change` makes what
/// is to be kept of what is; where it makes nothing, that stays.
pub(crate) fn change(
    shared: &mut dyn SharedData,
    name: &str,
    tries: usize,
    change: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
) {
    for _ in 0..tries {
        let (held, seen) = shared.get(name);
        let Some(value) = change(&held) else { return };
        if shared.replace(name, &value, seen) {
            return;
        }
    }
}

/// A host of one worker, which shares with nobody.
#[cfg(not(target_arch = "wasm32"))]
impl SharedData for std::collections::BTreeMap<String, (Vec<u8>, u32)> {
    fn get(&mut self, name: &str) -> (Vec<u8>, u32) {
        Self::get(self, name).cloned().unwrap_or_default()
    }

    fn replace(&mut self, name: &str, value: &[u8], seen: u32) -> bool {
        let kept = self.entry(name.to_owned()).or_default();
        let is_seen = kept.1 == seen;
        if is_seen {
            *kept = (value.to_vec(), seen.wrapping_add(1));
        }
        is_seen
    }
}
