//! A flood of sign-ins beside ordinary requests: the proxy's p99 (rule 14).
