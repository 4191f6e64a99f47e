//! Links every binary and test of this package with all of libtorch.

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys states its libtorch folder");
    // Without --no-as-needed the linker drops libtorch_cuda, and no GPU is ever seen.
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    println!("cargo:rustc-link-arg=-ltorch");
}
