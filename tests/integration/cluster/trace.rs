//! Follows what Redis wrote about pools and checks after every change that no more was handed out than there is.

use std::collections::BTreeMap;

/// One pool as its fields say.
#[derive(Default)]
struct Pool {
    fields: BTreeMap<String, String>,
}

impl Pool {
    fn number(&self, name: &str) -> i64 {
        self.fields.get(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// What was spent, is leased, or was burnt with the dead.
    fn out(&self) -> i64 {
        let members = self.fields.iter().filter(|(name, _)| name.starts_with("m:"));
        let authority = members.map(|(_, value)| {
            let numbers: Vec<i64> = value.split(' ').filter_map(|number| number.parse().ok()).collect();
            numbers[1].max(numbers[2])
        });
        self.number("base") + authority.sum::<i64>()
    }
}

/// What a trace told.
pub(super) struct Told {
    /// Changes of pools.
    pub(super) changes: usize,
    /// The most that was out of any pool at any instant, and its limit.
    pub(super) most: i64,
    /// Leased at the end and not spent.
    pub(super) leased: i64,
    /// Counted as spent at the end with tenures that ended, by whether their node wrote ahead.
    pub(super) burnt: BTreeMap<bool, i64>,
}

/// Follows a trace.
///
/// # Panics
/// When more was out than the limit.
pub(super) fn follow(trace: &[Vec<String>]) -> Told {
    let mut pools: BTreeMap<String, Pool> = BTreeMap::new();
    let mut told = Told { changes: 0, most: 0, leased: 0, burnt: BTreeMap::new() };
    let mut inside = false;
    let mut touched = Vec::new();
    for command in trace {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["MULTI"] => inside = true,
            ["EXEC"] => inside = false,
            [verb, key, rest @ ..] if key.contains(":pool:") => {
                touched.push((*key).to_owned());
                match verb.to_ascii_uppercase().as_str() {
                    "HSET" => {
                        let pool = pools.entry((*key).to_owned()).or_default();
                        for pair in rest.chunks(2) {
                            pool.fields.insert(pair[0].to_owned(), pair[1].to_owned());
                        }
                    }
                    "HDEL" => {
                        let pool = pools.entry((*key).to_owned()).or_default();
                        rest.iter().for_each(|name| drop(pool.fields.remove(*name)));
                    }
                    "DEL" | "UNLINK" => drop(pools.remove(*key)),
                    other => panic!("{other} of a pool"),
                }
            }
            _ => {}
        }
        if inside {
            // A script's changes are one instant.
            continue;
        }
        for key in touched.drain(..) {
            told.changes += 1;
            if let Some(pool) = pools.get(&key) {
                let (out, limit) = (pool.out(), pool.number("limit"));
                assert!(limit == 0 || out <= limit, "{out} of {limit} are out of {key}: {:?}", pool.fields);
                told.most = told.most.max(out);
            }
        }
    }
    let members = pools.values().flat_map(|pool| &pool.fields);
    for (name, value) in members.filter_map(|(name, value)| Some((name.strip_prefix("m:")?, value))) {
        let numbers: Vec<i64> = value.split(' ').filter_map(|number| number.parse().ok()).collect();
        let lease = numbers[1] - numbers[2];
        if numbers[3] == 1 {
            // Spent, as far as anybody knows. The version of a node's id says whether it wrote ahead.
            *told.burnt.entry(name.get(12..13) == Some("8")).or_default() += lease;
        } else {
            told.leased += lease;
        }
    }
    told
}
