//! Compiles the C half, and keeps where `make libjpeg` puts the library.

fn main() {
    for file in ["src/abi.h", "src/shim.c", "src/encode.c"] {
        println!("cargo:rerun-if-changed={file}");
    }
    cc::Build::new()
        .files(["src/shim.c", "src/encode.c"])
        .std("c11")
        .warnings(true)
        .compile("vlclip_jpeg");
    // dlopen, where the C library still has it apart.
    println!("cargo:rustc-link-lib=dl");
    println!("cargo:rerun-if-env-changed=LIBJPEG_TURBO");
    let folder = std::env::var("LIBJPEG_TURBO").unwrap_or_default();
    println!("cargo:rustc-env=VLCLIP_LIBJPEG_BUILT_WITH={folder}");
}
