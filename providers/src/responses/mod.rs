//! OpenAI responses: the wire towards clients.
