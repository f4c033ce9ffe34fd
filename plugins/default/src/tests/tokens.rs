//! Tokens and their public keys, made for these tests with OpenSSL and thrown away. They end at 1000003600.

pub(crate) const JWKS: &str = r#"{
 "keys": [
  {
   "kty": "RSA",
   "kid": "rsa",
   "n": "30sDk0E0qadwEKyeR2zmvnttLnJpU55JTHVFqeWObYS20FndJrJC_b8oAQ907ZkQy3fbFWRDQw_po7XXT5a9VvlG2MyDYS6IhcgQsExv7fmAHdUfYzu4Nx8pPnC-S4QRC1Z_YFgS60q34rIp3yFj5VKFmCq2pTgPeucC3wCXwZyjoVe2pMifD9C8TCYaJ7xYbExddEU4f3pCDsaEyQGrdkQbH_Zk3WSwMEaN2Qk7PXRv7imYVk5FnPlXD1HpvVX0dfLKEh-D-HQBE3_r8b_lN0pydxJMw9hm1PZGS7OIpz5Qu9RZTRcn7NzHlvr6AptRtIg_DZqwaGbsCsRA0TszMw",
   "e": "AQAB"
  },
  {
   "kty": "EC",
   "crv": "P-256",
   "kid": "ec",
   "x": "Ap9sItVbP8dnvPVLB7O977Diq24Rg9o59_FOybYAMDk",
   "y": "_yWgJJmOopgWNJDM00sYHZIH98OYIOPsWGRh9da_F_I"
  },
  {
   "kty": "oct",
   "kid": "oct",
   "k": "YSBzaGFyZWQgc2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXM"
  }
 ]
}"#;

pub(crate) const RS256: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInRlbmFudCI6InQxIn0.eyJzdWIiOiJib2IiLCJpYXQiOjEwMDAwMDAwMDAsImV4",
    "cCI6MTAwMDAwMzYwMCwic2NvcGUiOiJyZWFkIHdyaXRlIiwicm9sZXMiOlsiYWRtaW4iLCJkZXYiXSwidGVuYW50IjoidDEifQ.V",
    "KiKNozZ3jFYeHRRCpppzJfzkfGu7Ft1Y7tO3CqNKsDRrZ98ibR29P5N1HfQC5IUOCEOm03jFMACQOVkyaszA97v07gNReLVlCUx5",
    "fBncE-13CpS2ezHy-IK6eFprkgUZV7qt6oUabfCoCHGFzwMmXUQDPQzuH0D3veJyYy5rps2J6wufhJkT6SPl6buN725SmBjKXe3i",
    "paBuSnVqfxzHsCLkj8L8qL415JGk0q6R0uoUd2VaB-s4Aj_3Vj_iBOqaqapXaN06FZ9w0P1P8uVpJ4d910no69OXYuUdf8je6pIE",
    "6bLyfg9GrFSr_eOcA6FmLX4ASwLXXR4xqETmm0HSA",
);

pub(crate) const RS512: &str = concat!(
    "eyJhbGciOiJSUzUxMiIsImtpZCI6InJzYSJ9.eyJzdWIiOiJib2IiLCJpYXQiOjEwMDAwMDAwMDAsImV4cCI6MTAwMDAwMzYwMCw",
    "ic2NvcGUiOiJyZWFkIHdyaXRlIiwicm9sZXMiOlsiYWRtaW4iLCJkZXYiXSwidGVuYW50IjoidDEifQ.vlVf4p_MxpTC_klXHSiB",
    "P_9ONGImudqOXppvAr_CL0azccJ79bna3wgrvlzWzQmM_unBq0yyv_YYsAYFWS1ocIiNmTDfOY9Sh-EniuHlmw__ivz8rnxcYJd_",
    "iC-H4vtB92s9Gvxkbpm9Zl-NzdX-YWHUF-sicx6UQXeGf-c8K9wBTnAZo_Rdte8hGCVC6x_rKIHl4iGJO-RNdlXAZHuwaGw1cCY6",
    "J7DYJTqnyBLcCneYfVUoaZ41hAJqBqUp1n5bnfiQ62-WIPi5sVHcRbJZB3-RKTBP5qunJ7fXEqlTmQX5ew72fIIA8RolKJVOVZ9o",
    "4bJbMB7tWOgtJybf5hGCUw",
);

pub(crate) const ES256: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIn0.eyJzdWIiOiJib2IiLCJpYXQiOjEwMDAwMDAwMDAsImV4cCI6MTAwMDAwMzYwMCwi",
    "c2NvcGUiOiJyZWFkIHdyaXRlIiwicm9sZXMiOlsiYWRtaW4iLCJkZXYiXSwidGVuYW50IjoidDEifQ.RxgJdEroj83NaxUBTUdUJ",
    "w2kD59vFhZ8_-jkwPvrF3jvGYjeJnCxQybaFwwUSaMxAjPH-CnsHLDICCju8m7y-Q",
);

pub(crate) const HS256: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsImtpZCI6Im9jdCJ9.eyJzdWIiOiJib2IiLCJpYXQiOjEwMDAwMDAwMDAsImV4cCI6MTAwMDAwMzYwMCw",
    "ic2NvcGUiOiJyZWFkIHdyaXRlIiwicm9sZXMiOlsiYWRtaW4iLCJkZXYiXSwidGVuYW50IjoidDEifQ.uf7JijFz6nR75vwoxNhh",
    "C3XRobvN7bD0QkCYrHWiX1E",
);

pub(crate) const CONFUSED: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsImtpZCI6InJzYSJ9.eyJzdWIiOiJib2IiLCJpYXQiOjEwMDAwMDAwMDAsImV4cCI6MTAwMDAwMzYwMCw",
    "ic2NvcGUiOiJyZWFkIHdyaXRlIiwicm9sZXMiOlsiYWRtaW4iLCJkZXYiXSwidGVuYW50IjoidDEifQ.3h7_i0D1FMEFDA_HrFLt",
    "afLrq1E7Gfx4wcpaNH5j9SQ",
);
