# Valgrind and the library as it is shipped, with the names that it has before it is stripped: from the product's stage
# `compile`. The stage `valgrind` needs the network.
ARG COMPILED
FROM ${COMPILED} AS valgrind
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libc6-dbg valgrind \
 && apt-get clean

FROM valgrind AS leaks
COPY fuzz/leaks.c fuzz/leaks.supp /fuzz/
RUN --network=none gcc -O1 -g -Wall -Wextra -Werror -I/recipe -o /fuzz/leaks /fuzz/leaks.c /build/native/libunder48.so \
      -Wl,-rpath,/build/native
COPY pictures/ /fuzz/pictures/
COPY model.tflite /fuzz/
