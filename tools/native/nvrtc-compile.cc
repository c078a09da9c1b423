// Compiles one CUDA C++ file to PTX with a libnvrtc that is opened at run time: nvrtc-compile LIBRARY SOURCE INCLUDE_FOLDER ARCHITECTURE. Prints the
// library's version on the first line, then the PTX. Prototypes are declared here, after NVIDIA's NVRTC documentation.
#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using Program = void*;

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: nvrtc-compile LIBRARY SOURCE INCLUDE_FOLDER ARCHITECTURE\n");
    return 2;
  }
  void* library = dlopen(argv[1], RTLD_NOW);
  if (library == nullptr) {
    fprintf(stderr, "%s\n", dlerror());
    return 3;
  }
  auto version = reinterpret_cast<int (*)(int*, int*)>(dlsym(library, "nvrtcVersion"));
  auto create = reinterpret_cast<int (*)(Program*, const char*, const char*, int, const char* const*, const char* const*)>(dlsym(library, "nvrtcCreateProgram"));
  auto compile = reinterpret_cast<int (*)(Program, int, const char* const*)>(dlsym(library, "nvrtcCompileProgram"));
  auto size = reinterpret_cast<int (*)(Program, size_t*)>(dlsym(library, "nvrtcGetPTXSize"));
  auto ptx = reinterpret_cast<int (*)(Program, char*)>(dlsym(library, "nvrtcGetPTX"));
  auto log_size = reinterpret_cast<int (*)(Program, size_t*)>(dlsym(library, "nvrtcGetProgramLogSize"));
  auto log = reinterpret_cast<int (*)(Program, char*)>(dlsym(library, "nvrtcGetProgramLog"));
  std::ifstream file(argv[2]);
  std::stringstream text;
  text << file.rdbuf();
  Program program = nullptr;
  int major = 0, minor = 0;
  version(&major, &minor);
  if (create(&program, text.str().c_str(), "kv-kernels.cu", 0, nullptr, nullptr) != 0) return 4;
  const std::string include = std::string("-I") + argv[3], architecture = std::string("--gpu-architecture=") + argv[4];
  const std::vector<const char*> options = {architecture.c_str(), include.c_str(), "--std=c++17", "--fmad=false"};
  const int result = compile(program, static_cast<int>(options.size()), options.data());
  size_t bytes = 0;
  log_size(program, &bytes);
  std::string message(bytes, '\0');
  log(program, message.data());
  if (bytes > 1) fprintf(stderr, "%s\n", message.c_str());
  if (result != 0) return 5;
  size(program, &bytes);
  std::string out(bytes, '\0');
  ptx(program, out.data());
  printf("%d.%d\n%s", major, minor, out.c_str());
  return 0;
}
