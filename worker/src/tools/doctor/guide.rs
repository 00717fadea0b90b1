//! What the customer's guide calls a trouble, so that who looks for its words finds them.

/// Kapso's request meets an authentication that it knows nothing of.
pub(crate) const UNAUTHORIZED: &str = "Error 401 Unauthorized";
/// No signature comes.
pub(crate) const MISSING: &str = "Error: \"Missing X-Kapso-Signature header\"";
/// Another secret, or another body.
pub(crate) const INVALID: &str = "Error: \"Invalid webhook signature\"";
/// Nobody is there.
pub(crate) const REFUSED: &str = "Error: Connection refused";
/// A wrong address, or events that nobody subscribed.
pub(crate) const NOTHING: &str = "No se reciben webhooks";
