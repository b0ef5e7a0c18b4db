//! Pairs of numbers in their order: what belongs to what. One type for all, since a map of each kind
//! would be one more copy of the same code in the module.

use std::collections::VecDeque;

/// Pairs, each once. Thousands at most: one more moves some of the others.
#[derive(Debug, Default)]
pub(crate) struct Index(VecDeque<(u64, u64)>);

impl Index {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn first(&self) -> Option<(u64, u64)> {
        self.0.front().copied()
    }

    /// All of them in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// All that belong to a number, in their order.
    pub(crate) fn of(&self, number: u64) -> impl Iterator<Item = u64> {
        let first = self.0.partition_point(|(known, _)| *known < number);
        let of_it = self.0.range(first..).take_while(move |(known, _)| *known == number);
        of_it.map(|(_, own)| *own)
    }

    pub(crate) fn insert(&mut self, number: u64, own: u64) {
        if let Err(at) = self.0.binary_search(&(number, own)) {
            self.0.insert(at, (number, own));
        }
    }

    pub(crate) fn remove(&mut self, number: u64, own: u64) {
        if let Ok(at) = self.0.binary_search(&(number, own)) {
            self.0.remove(at);
        }
    }

    /// The first that belongs to a number, which does no more.
    pub(crate) fn take(&mut self, number: u64) -> Option<u64> {
        let own = self.of(number).next()?;
        self.remove(number, own);
        Some(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_by_their_number_and_kept_once() {
        let mut index = Index::default();
        for (number, own) in [(2, 1), (1, 9), (2, 0), (2, 1), (3, 4)] {
            index.insert(number, own);
        }
        assert_eq!(index.len(), 4);
        assert_eq!(index.first(), Some((1, 9)));
        assert_eq!(index.of(2).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(index.of(4).count(), 0);
        index.remove(2, 0);
        index.remove(2, 7);
        assert_eq!(index.take(2), Some(1));
        assert_eq!(index.take(2), None);
        assert!(!index.is_empty());
    }
}
