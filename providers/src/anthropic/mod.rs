//! Anthropic messages: the wire towards clients and vendors, and the vendor.
