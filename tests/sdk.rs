//! The SDK for JavaScript (`sdk/js`): its own tests, its types, a browser, and the example that its users
//! read first, against a real daemon and a real guest.

use crate::{
    contracts::address,
    harness::{
        Browser, Daemon, GuestSlots, Pages, SHORT, TCG, browser_and_novnc, guest_file, say, until,
    },
};
use innkeeper_auth::wallet::{JwtRules, verify};
use innkeeper_model::Timestamp;
use serde_json::{Value, json};
use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/js")
}

/// A command of Node's, in the folder of the SDK, whose form for `require` is made first; `None` where a test
/// has to be left out, which is then said. `packages` says whether it needs more than Node itself.
fn node(packages: bool) -> Option<Command> {
    static MADE: OnceLock<()> = OnceLock::new();
    let has_node = Command::new("node").arg("--version").output().is_ok();
    if !has_node || (packages && !sdk().join("node_modules/typescript").exists()) {
        let lacks = "Node or the SDK's packages are not installed (`scripts/setup --test` does it)";
        assert!(!env::var("CI").is_ok_and(|ci| ci == "true"), "{lacks}");
        say(&format!("SKIPPED, since {lacks}"));
        return None;
    }
    let command = || {
        let mut command = Command::new("node");
        command.current_dir(sdk());
        // Where services are is for the test to say.
        command.env_remove("FORMATION_API_URL").env_remove("FORMATION_NATIVE_URL");
        command
    };
    MADE.get_or_init(|| drop(output(command().arg("scripts/commonjs.js"))));
    Some(command())
}

/// What a command that is to succeed wrote.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{stdout}{stderr}");
    stdout
}

#[test]
fn the_sdks_own_tests_pass() {
    let Some(mut node) = node(true) else { return };
    let files = fs::read_dir(sdk().join("test")).unwrap();
    let names = files.map(|file| file.unwrap().path().display().to_string());
    let mut tests: Vec<_> = names.filter(|name| name.ends_with(".test.js")).collect();
    tests.sort();
    output(node.arg("--test").args(tests));
}

#[test]
fn the_sdks_types_are_right_and_its_native_client_is_that_of_the_document() {
    let (Some(mut generate), Some(mut check)) = (node(true), node(true)) else { return };
    generate.arg("scripts/generate.js");
    if env::var_os("UPDATE_GOLDEN").is_none() {
        generate.arg("--check");
    }
    output(&mut generate);
    output(check.arg("node_modules/typescript/bin/tsc"));
}

#[test]
fn a_token_that_the_sdk_has_a_wallet_sign_is_one_that_is_taken() {
    let Some(mut node) = node(true) else { return };
    let program = "
        import { Wallet } from './src/wallet.js';
        import { accountOf } from './test/account.js';
        const account = accountOf(`0x${'07'.repeat(32)}`);
        const { token } = await new Wallet(account).show();
        console.log(JSON.stringify({ token, address: account.address }));
    ";
    let shown: Value =
        serde_json::from_str(&output(node.args(["--input-type=module", "-e", program]))).unwrap();
    let token = shown["token"].as_str().unwrap();
    let verified = verify(token, &JwtRules::default(), Timestamp::now()).unwrap();
    assert_eq!(json!(verified.address.project()), shown["address"]);
}

#[test]
fn a_page_imports_the_sdk_as_it_is() {
    let Some((program, _)) = browser_and_novnc() else { return };
    let site = tempfile::tempdir().unwrap();
    symlink(sdk().join("src"), site.path().join("sdk")).unwrap();
    fs::write(site.path().join("page.html"), "").unwrap();
    fs::write(site.path().join("health"), "\"healthy\"").unwrap();
    let pages = Pages::of(site.path());
    let mut browser = Browser::start(&program);
    browser.open(&format!("http://{}/page.html", pages.address));
    until("the page is open", SHORT, || match browser.evaluate("location.pathname") {
        path if path == "/page.html" => Ok(()),
        path => Err(path),
    });
    let shown = browser.evaluate(
        "(async () => {
            const { default: Formation, NotFoundError } = await import('/sdk/index.js');
            const formation = new Formation({ baseUrl: location.origin, nativeUrl: location.origin });
            const refused = await formation.native.getVm({ path: { vm: 'web' } }).catch(error => error);
            const signer = { address: `0x${'1'.repeat(40)}`, signMessage: async () => `0x${'ff'.repeat(65)}` };
            let sent;
            const fetch = async (url, { headers }) => {
                sent = headers.Authorization;
                return new Response('[]');
            };
            await new Formation({ signer, fetch }).vm.list();
            return {
                health: await formation.health(),
                refused: [refused instanceof NotFoundError, refused.status],
                signed: /^Bearer [\\w-]+\\.[\\w-]+\\.[\\w-]{87}$/.test(sent),
            };
        })()",
    );
    assert_eq!(shown, json!({ "health": "healthy", "refused": [true, 404], "signed": true }));
}

#[test]
fn the_example_boots_a_guest_and_the_rest_of_the_sdk_finds_it() {
    let Some(mut example) = node(false) else { return };
    let Some(mut rest) = node(false) else { return };
    let _turn = GuestSlots::one();
    let native = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = format!(
        "{TCG}[door.vmm]\nlisten = '127.0.0.1:0'\nkernel = 'vmlinux.bin'\nrootfs = 'rootfs.ext4'\n"
    );
    let mut daemon = Daemon::prepared(&config).with_flags(&["--listen", &native]);
    daemon.launch();
    let [kernel, initrd, rootfs] = ["vmlinux.bin", "initrd.img", "rootfs.ext4"]
        .map(|file| guest_file(&format!("disk/{file}")));
    let kind = ["--kind", "kernel", "--initrd", &initrd];
    daemon.inn_ok(&[&["image", "add", &kernel, "--name", "vmlinux.bin"][..], &kind].concat());
    let kind = ["--kind", "disk", "--format", "raw"];
    daemon.inn_ok(&[&["image", "add", &rootfs, "--name", "rootfs.ext4"][..], &kind].concat());
    // As the page has it made, and not the daemon's own.
    let create = ["token", "create", "me", "--role", "owner", "--project", "me"];
    let token = daemon.inn_ok(&create).trim().to_owned();
    let door = format!("http://{}", address(&daemon.log(), "vmm"));

    // As a program that depends on it finds it.
    let packages = daemon.scratch().join("node_modules");
    fs::create_dir(&packages).unwrap();
    symlink(sdk().canonicalize().unwrap(), packages.join("formation-sdk")).unwrap();
    let program = daemon.scratch().join("example.cjs");
    fs::write(&program, program_of_the_example(&token)).unwrap();
    let shown = output(example.arg(&program).env("FORMATION_API_URL", &door));
    for field in ["name: 'web-server'", "state: 'running'", "memSizeMib: 2048", "diskSize: 10"] {
        assert!(shown.contains(field), "{field}: {shown}");
    }
    daemon.wait_for_log("web-server", "INNKEEPER-GUEST-UP");

    let program = daemon.scratch().join("rest.mjs");
    fs::copy(sdk().join("../../tests/sdk/rest.mjs"), &program).unwrap();
    rest.arg(&program).env("FORMATION_API_URL", &door);
    rest.env("FORMATION_NATIVE_URL", format!("http://{native}")).env("TOKEN", &token);
    assert_eq!(output(&mut rest).trim(), "all is as it should be");
    assert_eq!(daemon.get("/v1/vms")["items"], json!([]));
}

#[test]
fn wallets_have_their_own_vms_and_wait_when_they_ask_too_often() {
    let Some(mut program) = node(true) else { return };
    let config = "[wallets]\nopen = true\n[limits]\nvmm_standard = '10/s'\n";
    let flags = ["--driver", "sim", "--door", "vmm=127.0.0.1:0"];
    let mut daemon = Daemon::prepared(config).with_flags(&flags);
    daemon.launch();
    let blank = daemon.scratch().join("blank.raw");
    fs::write(&blank, vec![0; 1 << 20]).unwrap();
    let kind = ["--name", "blank", "--kind", "disk", "--format", "raw"];
    daemon.inn_ok(&[&["image", "add", blank.to_str().unwrap()][..], &kind].concat());
    program.arg("../../tests/sdk/wallets.mjs");
    program.env("FORMATION_API_URL", format!("http://{}", address(&daemon.log(), "vmm")));
    assert_eq!(output(&mut program).trim(), "all is as it should be");
}

/// The example of the SDK's page, word for word but for the key; in a function, since a program that
/// requires can wait for nothing outside of one.
fn program_of_the_example(token: &str) -> String {
    let page = fs::read_to_string(sdk().join("README.md")).unwrap();
    let from = page.find("```javascript\n").unwrap() + "```javascript\n".len();
    let example = &page[from..from + page[from..].find("```").unwrap()];
    let with_key = example.replace("'your-api-key'", &json!(token).to_string());
    assert_ne!(with_key, example, "the example has the key that is to be replaced");
    format!("(async () => {{\n{with_key}\n}})();\n")
}
