//! The example webhooks of `tests/fixtures/payloads`, and mutants of them: what snapshot
//! tests read, and what parsers have to survive.
//!
//! Why not an existing fuzzer: coverage-guided ones want nightly, or a program of their own;
//! property testers make values of a schema, and the point here is what no schema foresees.
//! JSON's structure is enough to cut along: a mutant is an example with values swapped,
//! dropped, doubled, retyped or taken from another, and mostly JSON still.

mod examples;
mod mutate;
mod nodes;
mod run;
mod strange;

pub use examples::{Example, all};
pub use mutate::{Corpus, Mutant};
pub use run::run;
