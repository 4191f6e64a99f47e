//! What tch leaves out of libtorch: the only C++ and the only unsafe code.
