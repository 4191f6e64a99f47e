//! Compiles the C++ half against the headers beside the libtorch that `torch-sys` found.

use std::path::Path;

const SOURCES: [&str; 5] =
    ["src/shim.cpp", "src/c10d.cpp", "src/nccl.cpp", "src/recompute.cpp", "src/cuda.cpp"];

fn main() {
    for source in SOURCES.iter().chain(&["src/shim.hpp", "stubs"]) {
        println!("cargo:rerun-if-changed={source}");
    }
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys states its libtorch folder");
    let torch = Path::new(&lib).parent().expect("libtorch has a parent folder");
    let include = torch.join("include");
    if !include.join("torch/csrc/api/include/torch/torch.h").exists() {
        println!("cargo:warning=no libtorch headers in {}: run `make libtorch`", include.display());
    }
    // The NVIDIA wheels lie beside torch; NCCL's process group includes headers of theirs.
    let nvidia = torch.parent().map(|beside| beside.join("nvidia")).unwrap_or_default();
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .flag("-fvisibility=hidden")
        .include("stubs")
        .include(&include)
        .include(include.join("torch/csrc/api/include"));
    for headers in ["cu13/include", "cu13/include/cccl", "nccl/include", "cudnn/include"] {
        build.include(nvidia.join(headers));
    }
    build
        .define("USE_DISTRIBUTED", None)
        .define("USE_C10D_GLOO", None)
        .define("USE_C10D_NCCL", None)
        .files(SOURCES)
        .compile("vlclip_shim");

    // Without --no-as-needed the linker drops libtorch_cuda, and no GPU is ever seen.
    println!("cargo:rustc-link-search=native={lib}");
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    println!("cargo:rustc-link-arg=-ltorch");
    println!("cargo:rustc-link-lib=dylib=torch_cpu");
    println!("cargo:rustc-link-lib=dylib=torch_cuda");
    println!("cargo:rustc-link-lib=dylib=c10_cuda");
    println!("cargo:rustc-link-lib=dylib=c10");
}
