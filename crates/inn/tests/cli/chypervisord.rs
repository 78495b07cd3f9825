//! `inn chypervisord`, as chypervisord's operators start it.

use super::{check_exit, data, inn, talk};

#[test]
fn its_help_is_what_chypervisord_printed() {
    for flag in ["-h", "--help"] {
        let output = inn(&["chypervisord", flag]).output().unwrap();
        check_exit(&output, 0);
        assert_eq!(
            data(&output),
            "Usage of chypervisord:\n\
             -k, --kv=\"http://localhost:4001\": address of kv machine\n\
             -l, --log-level=\"warn\": log level\n\
             -p, --port=17000: listen port\n"
        );
    }
}

#[test]
fn the_address_of_a_key_value_store_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let output = inn(&["chypervisord", "-k", "http://localhost:4001", "--state-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    check_exit(&output, 2);
    assert!(talk(&output).contains("not supported yet"), "{}", talk(&output));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
