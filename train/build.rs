//! Links all of libtorch into every program and test of this package but `vlclip`, which does without.

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys states its libtorch folder");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    for target in ["bin=vlclip-torch=", "tests=", "examples="] {
        // Without --no-as-needed the linker drops libtorch_cuda, and no GPU is ever seen.
        println!("cargo:rustc-link-arg-{target}-Wl,--no-as-needed");
        println!("cargo:rustc-link-arg-{target}-ltorch");
    }
}
