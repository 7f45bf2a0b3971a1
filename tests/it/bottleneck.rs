//! What holds a follower up is what `callboard_syncStatus.bottleneck` says: a peer that sends slowly, a slow disk, a
//! verifier that gets no time. The last two are made by a library that is loaded before all others into the node.

use crate::support::node::{Node, SOON};
use crate::support::until;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Long enough that nobody is done while it is looked.
const BLOCKS: u64 = 1_500;
const TRANSFERS: u64 = 10;
/// Looks, some milliseconds apart, at which the answer is to be the same.
const LOOKS: usize = 200;

fn authority() -> Node {
    let mut authority = Node::authority_over(BLOCKS, TRANSFERS);
    authority.start();
    authority
}

/// While it catches up it names this stage, and once it has, goes on to.
#[track_caller]
fn names(follower: &Node, stage: &str) {
    let look = || {
        let status = follower.status();
        assert_eq!(status["phase"], "catching-up", "it was done too soon: {status}");
        let named = status["bottleneck"].as_str().unwrap_or_default().to_owned();
        (named, status["stages"].to_string())
    };
    follower.is_phase("catching-up");
    until(&format!("{stage} is named"), SOON, || (look().0 == stage).then_some(()));
    for number in 0..LOOKS {
        let (named, stages) = look();
        assert_eq!(named, stage, "look {number}: {stages}");
    }
}

/// A way to a node through which this many bytes come in a second.
fn through_a_narrow_line(url: &str, bytes_per_second: usize) -> String {
    const PIECES_A_SECOND: usize = 50;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = format!("http://{}", listener.local_addr().expect("address"));
    let target = url.trim_start_matches("http://").to_owned();
    let drip = move |mut from: TcpStream, mut to: TcpStream| {
        let mut piece = vec![0; bytes_per_second / PIECES_A_SECOND];
        while let Ok(length @ 1..) = from.read(&mut piece)
            && to.write_all(&piece[..length]).is_ok()
        {
            std::thread::sleep(Duration::from_secs(1) / PIECES_A_SECOND as u32); // the narrow line
        }
        let _ = to.shutdown(Shutdown::Both);
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&target) else { continue };
            let (mut up, mut to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            std::thread::spawn(move || std::io::copy(&mut up, &mut to));
            std::thread::spawn(move || drip(server, client));
        }
    });
    here
}

/// A library of this C code in the node's folder, which is loaded into it.
fn preload(node: &mut Node, code: &str) {
    let (source, library) = (node.path("preloaded.c"), node.path("preloaded.so"));
    std::fs::write(&source, code).expect("written");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
    assert!(compiled.expect("a C compiler").success());
    node.variable("LD_PRELOAD", library.to_str().expect("UTF-8"));
}

#[test]
fn a_peer_that_sends_slowly_is_named_as_fetch() {
    let authority = authority();
    let mut follower = Node::follower("follower", &[]);
    let seed = through_a_narrow_line(&authority.peer_url(), 50_000);
    follower.set("peers.seeds", vec![seed]).set("peers.discovery", false).start();
    names(&follower, "fetch");
}

#[test]
fn a_slow_disk_is_named_as_commit() {
    let authority = authority();
    let mut follower = Node::follower("follower", &[&authority]);
    // Each commit of a thousand transactions takes two seconds and more.
    preload(&mut follower, "#include <unistd.h>\nint fdatasync(int file) { sleep(2); return fsync(file); }\n");
    follower.set("sync.commit_transactions", 1_000).start_within(2 * SOON);
    names(&follower, "commit");
}

#[test]
fn a_verifier_that_gets_no_time_is_named_as_verify() {
    let authority = authority();
    let mut follower = Node::follower("follower", &[&authority]);
    // Whenever its thread wants memory, it waits.
    preload(
        &mut follower,
        "#define _GNU_SOURCE\n#include <string.h>\n#include <sys/prctl.h>\n#include <unistd.h>\n\
         extern void *__libc_malloc(size_t);\n\
         void *malloc(size_t size) {\n  char name[17] = {0};\n  prctl(PR_GET_NAME, name);\n  \
         if (strncmp(name, \"verifier\", 8) == 0) usleep(300);\n  return __libc_malloc(size);\n}\n",
    );
    follower.set("sync.workers", 1).start();
    names(&follower, "verify");
}
