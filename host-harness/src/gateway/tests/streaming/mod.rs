//! Misses on their way through the filter itself: origin to client, and part by part into the store.

mod breaks;
mod modules;
mod objects;
mod passes;
mod places;
mod rules;
mod scene;
