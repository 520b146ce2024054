//! What one client can take.

use std::time::Duration;
use tonic::transport::Server;

/// Every limit of the transport, set explicitly: tonic hands hyper "no limit" for some that are left open.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls at once on one connection.
    pub concurrent_streams: u32,
    /// Bytes of headers of one call.
    pub header_list: u32,
    /// Bytes of one request message.
    pub request: usize,
    /// Bytes of one answer.
    pub answer: usize,
    /// Streams that a client reset and we have not looked at yet; more end the connection (CVE-2023-44487, rapid reset).
    pub pending_reset_streams: usize,
    /// Streams that we reset for a client's mistakes; more end the connection (CVE-2025-8671, made you reset).
    pub local_error_reset_streams: usize,
    /// An idle connection is asked whether it lives this often.
    pub keepalive_interval: Duration,
    /// How long it has to answer that.
    pub keepalive_timeout: Duration,
    /// How long calls in flight may take after the server was told to stop.
    pub drain: Duration,
}
impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_streams: 256,
            header_list: 16 * 1024,
            request: 4 * 1024 * 1024,
            answer: 16 * 1024 * 1024,
            pending_reset_streams: 20,
            local_error_reset_streams: 1024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            drain: Duration::from_secs(10),
        }
    }
}
impl Limits {
    /// Sets every limit on a transport: also for a server that is measured against this one.
    #[must_use]
    pub fn apply(&self, server: Server) -> Server {
        server
            .max_concurrent_streams(self.concurrent_streams)
            .http2_max_header_list_size(self.header_list)
            .http2_max_pending_accept_reset_streams(Some(self.pending_reset_streams))
            .http2_max_local_error_reset_streams(Some(self.local_error_reset_streams))
            .http2_keepalive_interval(Some(self.keepalive_interval))
            .http2_keepalive_timeout(Some(self.keepalive_timeout))
    }
}
