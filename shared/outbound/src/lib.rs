//! What Satchel calls: AWS services by clients that are built by hand, and other people's HTTP servers.
//!
//! Every call has a time-out and retries with jitter (the SDK's standard mode); what fails for good or for long becomes
//! [`satchel_domain::Error::Unavailable`].

pub mod aws;
pub mod bucket;
pub mod http;
pub mod jwks;
pub mod links;
pub mod queue;
pub mod secret;
pub mod topic;

pub use aws::Aws;
pub use bucket::Bucket;
pub use http::Http;
pub use jwks::Jwks;
pub use links::Links;
pub use queue::Queue;
pub use topic::Topic;
