# TensorFlow Lite, XNNPACK and what they need, as static libraries from source (targets `tflite` and `common`).

# --- XNNPACK, which brings pthreadpool and cpuinfo --------------------------------------------------------------
# Nothing is downloaded: every *_SOURCE_DIR is given. KleidiAI and SME would need sources that Debian does not have.
foreach(feature BUILD_TESTS BUILD_BENCHMARKS BUILD_ALL_MICROKERNELS ENABLE_KLEIDIAI ENABLE_ARM_SME ENABLE_ARM_SME2)
  set(XNNPACK_${feature} OFF CACHE BOOL "" FORCE)
endforeach()
foreach(feature BUILD_TOOLS BUILD_UNIT_TESTS BUILD_MOCK_TESTS BUILD_BENCHMARKS BUILD_PKG_CONFIG)
  set(CPUINFO_${feature} OFF CACHE BOOL "" FORCE)
endforeach()
foreach(project PTHREADPOOL FP16 FXDIV)
  set(${project}_BUILD_TESTS OFF CACHE BOOL "" FORCE)
  set(${project}_BUILD_BENCHMARKS OFF CACHE BOOL "" FORCE)
endforeach()
foreach(project XNNPACK CPUINFO PTHREADPOOL)
  set(${project}_LIBRARY_TYPE static CACHE STRING "" FORCE)
endforeach()
set(CPUINFO_SOURCE_DIR ${SOURCES}/cpuinfo CACHE PATH "" FORCE)
set(PTHREADPOOL_SOURCE_DIR ${SOURCES}/pthreadpool CACHE PATH "" FORCE)
set(FP16_SOURCE_DIR ${SOURCES}/fp16 CACHE PATH "" FORCE)
set(FXDIV_SOURCE_DIR ${SOURCES}/fxdiv CACHE PATH "" FORCE)
set(CMAKE_POLICY_VERSION_MINIMUM 3.5)
add_subdirectory(${SOURCES}/xnnpack xnnpack EXCLUDE_FROM_ALL)
target_compile_options(XNNPACK PRIVATE -w)

# --- TensorFlow Lite: everything that no operator brings -----------------------------------------------------------
set(TFLITE ${SOURCES}/tensorflow/tensorflow/lite)
set(TFLITE_SOURCES)
foreach(folder
    .  api  core  core/api  core/async/interop/c  core/c
    c  delegates  delegates/xnnpack  experimental/remat  experimental/resource
    kernels/internal  kernels/internal/optimized  kernels/internal/optimized/integer_ops
    kernels/internal/reference  kernels/internal/reference/integer_ops)
  file(GLOB found CONFIGURE_DEPENDS ${TFLITE}/${folder}/*.cc ${TFLITE}/${folder}/*.c)
  list(APPEND TFLITE_SOURCES ${found})
endforeach()
list(FILTER TFLITE_SOURCES EXCLUDE REGEX
  # tests, other platforms, and the ways in that this project does not use
  "_test\\.|test_util|_tester\\.|minimal_logging_(android|ios)|mmap_allocation_disabled|tensorflow_profiler_logger|\
tflite_with_xnnpack\\.|with_selected_ops|with_builtin_ops|/c_api|registration_external|\
delegates/serialization|internal/(spectrogram|mfcc)|resource/static_hash")
list(APPEND TFLITE_SOURCES
  ${TFLITE}/profiling/platform_profiler.cc ${TFLITE}/profiling/root_profiler.cc
  ${TFLITE}/profiling/telemetry/profiler.cc ${TFLITE}/profiling/telemetry/telemetry.cc
  ${TFLITE}/schema/schema_utils.cc
  ${TFLITE}/kernels/internal/utils/sparsity_format_converter.cc
  ${TFLITE}/kernels/internal/optimized/4bit/fully_connected_reference.cc
  # what kernels share
  ${TFLITE}/kernels/kernel_util.cc ${TFLITE}/kernels/eigen_support.cc
  ${TFLITE}/kernels/cpu_backend_context.cc ${TFLITE}/kernels/cpu_backend_gemm_eigen.cc)

find_package(Threads REQUIRED)
file(GLOB RUY ${SOURCES}/ruy/usr/lib/*/libruy_*.a)
if(NOT RUY)
  message(FATAL_ERROR "no static ruy libraries in ${SOURCES}/ruy")
endif()

add_library(tflite STATIC ${TFLITE_SOURCES})
target_compile_options(tflite PRIVATE -w)
target_include_directories(tflite SYSTEM PUBLIC
  ${SOURCES}/tensorflow ${SOURCES}/abseil ${SOURCES}/eigen ${SOURCES}/flatbuffers/include ${SOURCES}/gemmlowp
  ${SOURCES}/neon2sse ${SOURCES}/fp16/include ${SOURCES}/ruy/usr/include)
target_compile_definitions(tflite PUBLIC
  TFLITE_BUILD_WITH_XNNPACK_DELEGATE TFL_STATIC_LIBRARY_BUILD
  # Without these two, quantised models silently run on TensorFlow Lite's own kernels, five to ten times slower.
  XNNPACK_DELEGATE_ENABLE_QS8=1 XNNPACK_DELEGATE_ENABLE_QU8=1)
target_link_libraries(tflite PUBLIC
  XNNPACK cpuinfo pthreadpool -Wl,--start-group ${RUY} -Wl,--end-group Threads::Threads ${CMAKE_DL_LIBS})

add_custom_target(common DEPENDS tflite XNNPACK)
