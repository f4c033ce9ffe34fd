//! Google Gemini `generateContent`: the wire towards the vendor, and the vendor.
