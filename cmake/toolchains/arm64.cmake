# AArch64 on a Debian host of another kind, with the arm64 packages that tools/deps.sh arm64 installs
# beside the host's own. Tests run under QEMU; programs that the build runs are the host's.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
# QEMU's default processor, `max`, has the dot products of every table of ours.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
