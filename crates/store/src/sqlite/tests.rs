use super::*;
use crate::contract::{agrees_with_memory, model_calls};
use proptest::prelude::*;

mod contract_of_sqlite {
    crate::contract::contract_tests! { super::fresh() }
}

/// A store in a folder that goes with the second value.
fn fresh() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        SqliteStore::open(folder.path().join("waxwing.db")).unwrap(),
        folder,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_memory_does(calls in model_calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (store, _folder) = fresh();
        runtime.block_on(agrees_with_memory(&store, calls));
    }
}
