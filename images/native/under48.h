/* The C interface of libunder48.so: one TensorFlow Lite model, opened once, called many times.
 *
 * Every function that can fail returns a u48_status and writes a sentence for the user into `error`
 * (at most `error_size` bytes, always terminated; NULL and 0 are allowed). Nothing prints, nothing exits.
 * A classifier may be used by one thread at a time; different classifiers are independent.
 */
#ifndef UNDER48_H
#define UNDER48_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define U48_API __attribute__((visibility("default")))

/* Raised with every incompatible change of this header; u48_abi_version() tells the library's. */
#define U48_ABI_VERSION 1

typedef enum {
  U48_OK = 0,
  U48_BAD_ARGUMENT = 1,  /* the caller broke this interface's rules */
  U48_BAD_MODEL = 2,     /* missing, truncated, not a .tflite, or with operators that were not compiled in */
  U48_BAD_IMAGE = 3,     /* not a JPEG, damaged, or of a kind that is not supported */
  U48_TOO_LARGE = 4,     /* more pixels, or more memory, than a function may use */
  U48_NO_MEMORY = 5,
  U48_FAILED = 6         /* TensorFlow Lite refused; the error text has its words */
} u48_status;

/* The element types that an input or output tensor may have, numbered as TensorFlow Lite numbers them. */
typedef enum { U48_FLOAT32 = 1, U48_UINT8 = 3, U48_INT8 = 9 } u48_type;

typedef struct {
  int32_t type;       /* u48_type */
  int32_t rank;       /* how many entries of shape are used, at most 4 */
  int32_t shape[4];
  float scale;        /* real = (stored - zero_point) * scale; scale is 0 when the tensor is not quantised */
  int32_t zero_point;
  size_t bytes;
  void *data;         /* valid until u48_close */
} u48_tensor;

typedef struct {
  int32_t nodes;      /* operators in the model's graph */
  int32_t delegated;  /* of these, how many XNNPACK took */
} u48_plan;

/* How the pixels of a picture become the input tensor. */
typedef struct {
  float crop;         /* central fraction of each side that is kept, over 0 and at most 1 */
  float lowest;       /* what a float model sees for pixel value 0; a quantised one is given the pixel itself */
  float highest;      /* ... and for 255 */
} u48_framing;

typedef struct u48_classifier u48_classifier;

U48_API int32_t u48_abi_version(void);

/* "TensorFlow Lite 2.14.1, XNNPACK ..., libjpeg-turbo ...": names and versions of what is compiled in. */
U48_API const char *u48_versions(void);

/* Names of the operators that are compiled in, sorted, separated by single spaces. */
U48_API const char *u48_operators(void);

/* Opens a model whose input is [1, height, width, 3] and gives it to XNNPACK. `threads` is at least 1. */
U48_API u48_status u48_open(const char *path, int32_t threads, u48_classifier **classifier,
                            char *error, size_t error_size);

/* Frees everything; NULL is allowed. */
U48_API void u48_close(u48_classifier *classifier);

U48_API u48_status u48_input(const u48_classifier *classifier, u48_tensor *tensor);
U48_API u48_status u48_output(const u48_classifier *classifier, u48_tensor *tensor);
U48_API u48_status u48_count_nodes(const u48_classifier *classifier, u48_plan *plan);

/* Reads a whole JPEG file, turns it as its EXIF orientation says, crops, resizes (antialiased triangle filter)
 * and fills the input tensor. The size is checked before pixels are allocated. */
U48_API u48_status u48_set_jpeg(u48_classifier *classifier, const uint8_t *file, size_t size,
                                const u48_framing *framing, char *error, size_t error_size);

/* The same from pixels that are already decoded and upright: rows of width * 3 bytes, red green blue. */
U48_API u48_status u48_set_rgb(u48_classifier *classifier, const uint8_t *pixels, int32_t width, int32_t height,
                               const u48_framing *framing, char *error, size_t error_size);

/* Runs the model on its input tensor. */
U48_API u48_status u48_invoke(u48_classifier *classifier, char *error, size_t error_size);

/* Copies the output as real numbers (dequantised); `count` must be the output's number of elements. */
U48_API u48_status u48_scores(const u48_classifier *classifier, float *scores, size_t count,
                              char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
