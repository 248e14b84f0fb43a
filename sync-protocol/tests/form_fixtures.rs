//! The forms that come with the product are whole.

use std::{collections::BTreeMap, fs, path::PathBuf};
use sync_protocol::form::Form;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/forms")
}

fn forms() -> TestResult<BTreeMap<String, Form>> {
    let mut forms = BTreeMap::new();
    for file in fs::read_dir(folder())? {
        let path = file?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let form = Form::parse(&fs::read_to_string(&path)?).map_err(|e| format!("{name}: {e}"))?;
        assert_eq!(form.kind.as_str(), name);
        forms.insert(name, form);
    }
    Ok(forms)
}

#[test]
fn every_form_is_read() -> TestResult {
    assert_eq!(forms()?.len(), 20);
    Ok(())
}
