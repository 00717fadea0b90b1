//! What people see of effects and lanes, and what they decide about them: the statements behind
//! the tools.

pub mod effects;
pub mod explain;
pub mod lanes;
