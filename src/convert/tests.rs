//! Conversions come back, and the API's vocabulary is the core's.

mod descriptors;
mod errors;
mod values;
