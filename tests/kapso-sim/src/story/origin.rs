//! Where an outbound message was written, in Kapso's words.

/// By an API, Kapso's inbox among those who call it.
pub(crate) const API: &str = "cloud_api";

/// In the phone's app, beside the API ("coexistence").
pub(crate) const PHONE: &str = "business_app";
