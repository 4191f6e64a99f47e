/* Encoding with libjpeg-turbo for Rust, apart from decoding so that a library without it still decodes.
 * Failing is as in shim.c: libjpeg calls only functions of this file, and jumps end within it. */

#include "abi.h"

#include <assert.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct common) == 40, "what both structures begin with");
static_assert(sizeof(struct compress) == ABI_COMPRESS_SIZE, "size");
static_assert(sizeof(struct error_manager) == ABI_ERROR_SIZE, "size of the error manager");
static_assert(sizeof(struct destination_manager) == 40, "size of the destination");
static_assert(offsetof(struct compress, destination) == 40, "dest");
static_assert(offsetof(struct compress, image_width) == 48, "image_width");
static_assert(offsetof(struct compress, input_colours) == 60, "in_color_space");
static_assert(offsetof(struct compress, components) == 88, "comp_info");
static_assert(offsetof(struct compress, num_scans) == 240, "num_scans");
static_assert(offsetof(struct compress, optimize_coding) == 264, "optimize_coding");
static_assert(offsetof(struct compress, dct_method) == 276, "dct_method");
static_assert(offsetof(struct compress, density) == 296, "X_density");
static_assert(offsetof(struct compress, next_row) == 304, "next_scanline");

enum {
    MESSAGE_SIZE = 256,   /* libjpeg writes at most 200 */
    FIRST_SIZE = 1 << 15, /* about a picture of 288 pixels */
    KEPT_SIZE = 1 << 20,  /* more room is given back after its picture */
};

struct encoding {
    struct error_manager *(*std_error)(struct error_manager *);
    void (*create)(struct compress *, int version, size_t size);
    void (*destroy)(struct compress *);
    void (*set_defaults)(struct compress *);
    void (*set_quality)(struct compress *, int quality, int force_baseline);
    void (*start)(struct compress *, int write_all_tables);
    unsigned (*write_rows)(struct compress *, unsigned char **rows, unsigned num);
    void (*finish)(struct compress *);
};

struct encoder {
    struct compress jpeg;
    struct error_manager errors;
    struct destination_manager destination;
    unsigned char *bytes; /* `size` of them, the last `destination.left` not written */
    size_t size;
    const struct encoding *encoding;
    jmp_buf mark;
    char message[MESSAGE_SIZE];
};

static void on_error(struct common *common)
{
    struct encoder *encoder = common->owner;
    common->errors->format_message(common, encoder->message);
    longjmp(encoder->mark, 1);
}

static void on_message(struct common *common, int level)
{
    (void)common;
    (void)level;
}

static void on_output(struct common *common) { (void)common; }

/* Room for `size` bytes, of which `used` stay. */
static void grow(struct encoder *encoder, size_t size, size_t used)
{
    unsigned char *bytes = realloc(encoder->bytes, size);
    if (!bytes) {
        snprintf(encoder->message, MESSAGE_SIZE, "out of memory");
        longjmp(encoder->mark, 1);
    }
    encoder->bytes = bytes;
    encoder->size = size;
    encoder->destination.next = bytes + used;
    encoder->destination.left = size - used;
}

static void destination_start(struct compress *jpeg)
{
    struct encoder *encoder = jpeg->common.owner;
    int kept = encoder->size >= FIRST_SIZE && encoder->size <= KEPT_SIZE;
    grow(encoder, kept ? encoder->size : FIRST_SIZE, 0);
}

/* Called when all of the room is written, whatever `left` says. */
static int destination_empty(struct compress *jpeg)
{
    struct encoder *encoder = jpeg->common.owner;
    grow(encoder, encoder->size * 2, encoder->size);
    return 1;
}

static void destination_end(struct compress *jpeg) { (void)jpeg; }

void vlclip_jpeg_close_encoder(struct encoder *encoder)
{
    if (encoder->jpeg.common.memory && !setjmp(encoder->mark))
        encoder->encoding->destroy(&encoder->jpeg);
    free(encoder->bytes);
    free(encoder);
}

/* Sets up what `encoder` holds. 0 where memory or the library's interface do not allow it. */
static int set_up(struct encoder *encoder)
{
    const struct encoding *encoding = encoder->encoding;
    encoding->std_error(&encoder->errors);
    encoder->errors.error_exit = on_error;
    encoder->errors.emit_message = on_message;
    encoder->errors.output_message = on_output;
    encoder->jpeg.common.errors = &encoder->errors;
    encoder->jpeg.common.owner = encoder; /* creating keeps both */
    if (setjmp(encoder->mark))
        return 0;
    encoding->create(&encoder->jpeg, ABI_VERSION, sizeof encoder->jpeg);
    encoder->destination.start = destination_start;
    encoder->destination.empty = destination_empty;
    encoder->destination.end = destination_end;
    encoder->jpeg.destination = &encoder->destination;
    return 1;
}

/* An encoder without a picture, or null and a message. */
struct encoder *vlclip_jpeg_open_encoder(const struct encoding *encoding, char *message)
{
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder) {
        snprintf(message, MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    encoder->encoding = encoding;
    if (!set_up(encoder)) {
        snprintf(message, MESSAGE_SIZE, "%s", encoder->message);
        vlclip_jpeg_close_encoder(encoder);
        return NULL;
    }
    return encoder;
}

/* The encoder of a library that vlclip_jpeg_load has loaded from `path`. Null and a message where it
 * has none with the interface of abi.h. */
const struct encoding *vlclip_jpeg_load_encoding(const char *path, char *message)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    struct encoding *encoding = calloc(1, sizeof *encoding);
    if (!handle || !encoding) {
        const char *reason = handle ? "out of memory" : dlerror();
        snprintf(message, MESSAGE_SIZE, "%s", reason ? reason : "it cannot be loaded");
        free(encoding);
        return NULL;
    }
    struct {
        const char *name;
        void *slot;
    } wanted[] = {
        {"jpeg_std_error", &encoding->std_error},
        {"jpeg_CreateCompress", &encoding->create},
        {"jpeg_destroy_compress", &encoding->destroy},
        {"jpeg_set_defaults", &encoding->set_defaults},
        {"jpeg_set_quality", &encoding->set_quality},
        {"jpeg_start_compress", &encoding->start},
        {"jpeg_write_scanlines", &encoding->write_rows},
        {"jpeg_finish_compress", &encoding->finish},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *found = dlsym(handle, wanted[i].name);
        if (!found) {
            snprintf(message, MESSAGE_SIZE, "it has no %s", wanted[i].name);
            free(encoding);
            return NULL;
        }
        memcpy(wanted[i].slot, &found, sizeof found);
    }
    struct encoder *trial = vlclip_jpeg_open_encoder(encoding, message);
    if (!trial) {
        free(encoding);
        return NULL;
    }
    vlclip_jpeg_close_encoder(trial);
    return encoding;
}

/* Encodes `height` rows of `width` RGB pixels that begin `stride` bytes apart: a JPEG of `size` bytes, the
 * encoder's, which stay until its next picture. Null on failure: then the encoder can only be closed. */
const unsigned char *vlclip_jpeg_encode(struct encoder *encoder, const unsigned char *rgb, size_t stride,
                                        unsigned width, unsigned height, int quality, size_t *size)
{
    enum { AT_ONCE = 16 };
    unsigned char *rows[AT_ONCE];
    const struct encoding *encoding = encoder->encoding;
    struct compress *jpeg = &encoder->jpeg;
    if (setjmp(encoder->mark))
        return NULL;
    jpeg->image_width = width;
    jpeg->image_height = height;
    jpeg->input_components = 3;
    jpeg->input_colours = COLOUR_RGB;
    encoding->set_defaults(jpeg); /* YCbCr 4:2:0, one scan, the standard's Huffman tables */
    encoding->set_quality(jpeg, quality, 1);
    encoding->start(jpeg, 1);
    while (jpeg->next_row < height) {
        unsigned left = height - jpeg->next_row;
        unsigned num = left < AT_ONCE ? left : AT_ONCE;
        for (unsigned i = 0; i < num; i++)
            rows[i] = (unsigned char *)rgb + (size_t)(jpeg->next_row + i) * stride; /* only read */
        encoding->write_rows(jpeg, rows, num);
    }
    encoding->finish(jpeg);
    *size = encoder->size - encoder->destination.left;
    return encoder->bytes;
}

const char *vlclip_jpeg_encoder_message(const struct encoder *encoder) { return encoder->message; }
