/* For Valgrind: the library as it is shipped, opened and closed, with files that it takes and files that it refuses.
 *
 *     leaks MODEL OPENINGS CLASSIFICATIONS FILE...
 */
#include <stdio.h>
#include <stdlib.h>

#include "under48.h"

struct file {
  unsigned char *bytes;
  size_t size;
};

static struct file read_whole(const char *path) {
  struct file whole = {NULL, 0};
  FILE *stream = fopen(path, "rb");
  if (stream == NULL || fseek(stream, 0, SEEK_END) != 0) exit(2);
  whole.size = (size_t)ftell(stream);
  whole.bytes = malloc(whole.size + 1);
  rewind(stream);
  if (fread(whole.bytes, 1, whole.size, stream) != whole.size) exit(2);
  fclose(stream);
  return whole;
}

static u48_classifier *opened(const char *model) {
  char error[512] = "";
  u48_classifier *classifier = NULL;
  if (u48_open(model, 1, &classifier, error, sizeof error) != U48_OK) {
    fprintf(stderr, "%s\n", error);
    exit(2);
  }
  return classifier;
}

static int classified(u48_classifier *classifier, const struct file *picture) {
  const u48_framing framing = {0.875F, -1, 1};
  char error[512];
  u48_tensor output;
  if (u48_set_jpeg(classifier, picture->bytes, picture->size, &framing, error, sizeof error) != U48_OK) return 0;
  u48_output(classifier, &output);
  size_t classes = (size_t)output.shape[output.rank - 1];
  float *scores = malloc(classes * sizeof *scores);
  int good = u48_invoke(classifier, error, sizeof error) == U48_OK &&
             u48_scores(classifier, scores, classes, error, sizeof error) == U48_OK;
  free(scores);
  return good;
}

int main(int count, char **words) {
  if (count < 5) return 2;
  const int openings = atoi(words[2]), classifications = atoi(words[3]), pictures = count - 4;
  int good = 0;
  u48_classifier *classifier = opened(words[1]);
  for (int i = 0; i < classifications; i++) {
    struct file picture = read_whole(words[4 + i % pictures]);
    good += classified(classifier, &picture);
    free(picture.bytes);
  }
  u48_close(classifier);
  for (int i = 0; i < openings; i++) u48_close(opened(words[1]));
  char error[512];
  for (int i = 0; i < pictures; i++) { /* none of these is a model */
    if (u48_open(words[4 + i], 1, &classifier, error, sizeof error) != U48_BAD_MODEL) return 2;
  }
  printf("%d of %d pictures classified, %d openings\n", good, classifications, openings);
  return 0;
}
