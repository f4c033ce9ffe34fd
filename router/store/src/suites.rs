//! The suites, instantiated for every backend.

macro_rules! suites {
    ($backend:ident, $subject:ty, [$($suite:ident: $($test:ident),+;)+]) => {
        mod $backend {
            $(mod $suite {
                $(#[test]
                fn $test() {
                    crate::$suite::$test(&mut <$subject>::new());
                })+
            })+
        }
    };
}

macro_rules! every_suite {
    ($backend:ident, $subject:ty) => {
        suites!($backend, $subject, [
            suite:
                keys_are_found_by_hash,
                a_settlement_spends_in_its_period_and_ends_the_hold,
                attempts_of_one_request_pay_from_their_own_budgets,
                decisions_are_kept_with_their_row,
                old_log_rows_go_and_their_cost_stays,
                keys_tell_which_config_they_begin_with,
                open_holds_are_settled_at_their_amount;
            suite_configs:
                a_config_has_every_version_it_ever_had,
                a_version_is_never_written_over_and_one_that_is_missing_never_in_force;
            suite_ledger:
                a_batch_means_what_its_entries_mean_one_after_the_other,
                a_hold_of_an_earlier_batch_grows,
                a_row_that_is_written_again_replaces_the_first,
                logs_are_filtered_and_listed_newest_first,
                null_characters_and_long_words_stop_nothing,
                spend_is_listed_by_prefix_and_node_and_is_reset;
            suite_governance:
                an_object_keeps_its_versions,
                a_slug_is_taken_in_its_workspace_only,
                a_failing_write_leaves_nothing_of_its_transaction,
                an_old_secret_finds_its_key_until_it_is_replaced_or_deleted,
                keys_are_listed_in_pages,
                keys_are_listed_by_kind_and_user,
                keys_are_found_by_the_beginning_of_their_id,
                names_sort_by_their_bytes,
                many_keys_are_one_change,
                every_kind_of_write_is_kept,
                small_values_are_kept,
                nobody_is_told_twice_before_its_time;
            suite_audit:
                audit_rows_are_filtered_and_paged_newest_first,
                a_whole_chain_is_whole,
                a_changed_text_breaks_the_chain,
                a_missing_row_breaks_the_chain,
                an_inserted_row_breaks_the_chain;
        ]);
    };
}

every_suite!(sqlite, crate::sqlite::subject::SqliteSubject);
every_suite!(postgres, crate::postgres::server::PostgresSubject);
