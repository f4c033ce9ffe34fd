//! What the organisation's and a workspace's `settings` come to: keys of users, and what the request log keeps.
//!
//! A workspace's word beats the organisation's, but for ceilings: there the lower one holds, so that no workspace gets
//! around what holds for all.

use serde_json::Value;
use tidegate_store::RotationRecord;

use super::terms::flag;

const DAY: i64 = 86_400;

/// What holds for keys of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserKeys {
    /// Days until a key ends that says nothing of its end.
    pub ttl_days: Option<u16>,
    /// Days after which every key ends.
    pub max_ttl_days: Option<u16>,
    /// Keys of one user in the workspace.
    pub count: Option<usize>,
    /// Days after which every key gets a new secret.
    pub rotation_days: Option<u16>,
    /// Whether requests carry their user as `_user`.
    pub named: bool,
    /// Whether a request may say another `_user`.
    pub renamed: bool,
}

impl UserKeys {
    /// Reads what both say.
    #[must_use]
    pub fn of(organisation: &Value, workspace: &Value) -> Self {
        // Portkey writes 0 where there is none.
        let whole = |settings: &Value, name: &str| settings[name].as_u64().filter(|whole| *whole > 0);
        let days = |settings: &Value, name: &str| u16::try_from(whole(settings, name)?).ok();
        let lower = |name: &str| days(workspace, name).into_iter().chain(days(organisation, name)).min();
        let max_ttl_days = lower("user_api_key_max_ttl");
        let ttl_days = days(workspace, "user_api_key_ttl").or(days(organisation, "user_api_key_ttl"));
        let count = whole(workspace, "user_api_key_count").into_iter();
        let count = count.chain(whole(organisation, "user_api_key_count")).min();
        let nearest = |name: &str| flag(&workspace[name]).or(flag(&organisation[name])).unwrap_or(false);
        Self {
            ttl_days: ttl_days.into_iter().chain(max_ttl_days).min(),
            max_ttl_days,
            count: count.and_then(|count| usize::try_from(count).ok()),
            rotation_days: lower("user_api_key_rotation_period"),
            named: nearest("user_key_metadata"),
            renamed: nearest("user_key_metadata_override"),
        }
    }

    /// Returns when a key ends that says nothing of its end, in seconds since the epoch.
    #[must_use]
    pub fn default_end(&self, created_at: i64) -> Option<i64> {
        Some(created_at + i64::from(self.ttl_days?) * DAY)
    }

    /// Returns when a key ends at the latest, in seconds since the epoch.
    #[must_use]
    pub fn last_end(&self, created_at: i64) -> Option<i64> {
        Some(created_at + i64::from(self.max_ttl_days?) * DAY)
    }

    /// Returns whether a key's rotation is as it must be.
    #[must_use]
    pub fn rotates(&self, rotation: Option<&RotationRecord>) -> bool {
        self.rotation_days.is_none_or(|days| {
            rotation
                .is_some_and(|own| own.days == Some(days) && own.period.is_none() && own.next_at.is_some())
        })
    }
}

/// What the request log keeps of a workspace's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Whether it keeps texts; else figures and names only.
    pub full: bool,
    /// Whether a request's own word on that is ignored.
    pub enforced: bool,
}

impl Default for Logging {
    fn default() -> Self {
        Self { full: true, enforced: false }
    }
}

impl Logging {
    /// Reads what both say.
    #[must_use]
    pub fn of(organisation: &Value, workspace: &Value) -> Self {
        let nearest = |name: &str| flag(&workspace[name]).or(flag(&organisation[name]));
        Self {
            full: nearest("debug_log").unwrap_or(true),
            enforced: nearest("enforce_debug_log_setting").unwrap_or(false),
        }
    }

    /// Returns whether texts of a request are kept that says this of it in `x-portkey-debug`.
    #[must_use]
    pub fn keeps(self, word: Option<&str>) -> bool {
        let word = word.filter(|_| !self.enforced);
        match word {
            Some(word) if word.eq_ignore_ascii_case("false") => false,
            Some(word) if word.eq_ignore_ascii_case("true") => true,
            _ => self.full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_two_ceilings_the_lower_one_holds() {
        let house = json!({"user_api_key_max_ttl": 30, "user_api_key_count": 3, "user_api_key_ttl": 90});
        let own =
            json!({"user_api_key_max_ttl": 60, "user_api_key_count": 2, "user_api_key_rotation_period": 7});
        let keys = UserKeys::of(&house, &own);
        assert_eq!((keys.max_ttl_days, keys.count, keys.rotation_days), (Some(30), Some(2), Some(7)));
        assert_eq!((keys.default_end(0), keys.last_end(0)), (Some(30 * DAY), Some(30 * DAY)));
        let nearest = UserKeys::of(&json!({"user_api_key_ttl": 9}), &json!({"user_api_key_ttl": 90}));
        assert_eq!((nearest.default_end(0), nearest.last_end(0)), (Some(90 * DAY), None));
        assert_eq!(UserKeys::of(&json!({"user_api_key_ttl": 0}), &Value::Null), UserKeys::default());
    }

    #[test]
    fn a_key_rotates_as_it_must_or_more_is_to_be_done() {
        let keys = UserKeys { rotation_days: Some(7), ..UserKeys::default() };
        let rotation = |days, period: Option<&str>| RotationRecord {
            period: period.map(str::to_owned),
            days,
            next_at: Some(1),
            overlap_ms: 1,
        };
        assert!(keys.rotates(Some(&rotation(Some(7), None))) && UserKeys::default().rotates(None));
        for other in [None, Some(rotation(Some(8), None)), Some(rotation(None, Some("weekly")))] {
            assert!(!keys.rotates(other.as_ref()), "{other:?}");
        }
    }

    #[test]
    fn a_request_decides_what_is_kept_unless_the_setting_is_enforced() {
        let (full, bare) = (Logging::default(), Logging { full: false, enforced: false });
        assert!(full.keeps(None) && full.keeps(Some("true")) && !full.keeps(Some("False")));
        assert!(!bare.keeps(None) && bare.keeps(Some("true")));
        let enforced = Logging::of(&json!({"debug_log": 0, "enforce_debug_log_setting": 1}), &Value::Null);
        assert!(!enforced.keeps(Some("true")));
        let own = Logging::of(&json!({"debug_log": 0}), &json!({"debug_log": true}));
        assert!(own.keeps(None));
    }
}
