//! What a module may and may not do, proved by small modules that try.

mod calls;
mod life;
mod phases;
pub(crate) mod support;
