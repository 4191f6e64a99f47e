/* Decoding with libjpeg-turbo for Rust: finds its functions in a library that is loaded while the program runs, and
 * turns its way of failing (a function that must not return) into return values. No jump crosses a
 * Rust frame: libjpeg calls only functions of this file, and every function that calls libjpeg has set
 * the mark that errors jump to. */

#define _GNU_SOURCE /* dladdr */

#include "abi.h"

#include <assert.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(void *) == 8, "the layout is that of 64-bit machines");
static_assert(sizeof(struct decompress) == ABI_DECOMPRESS_SIZE, "size");
static_assert(sizeof(struct error_manager) == ABI_ERROR_SIZE, "size of the error manager");
static_assert(offsetof(struct error_manager, num_warnings) == 128, "num_warnings");
static_assert(sizeof(struct source_manager) == 56, "size of the source");
static_assert(sizeof(struct progress_monitor) == 32, "size of the progress monitor");
static_assert(offsetof(struct decompress, image_width) == 48, "image_width");
static_assert(offsetof(struct decompress, scale_num) == 68, "scale_num");
static_assert(offsetof(struct decompress, dct_method) == 96, "dct_method");
static_assert(offsetof(struct decompress, output_width) == 136, "output_width");
static_assert(offsetof(struct decompress, output_row) == 168, "output_scanline");
static_assert(offsetof(struct decompress, scan_number) == 172, "input_scan_number");
static_assert(offsetof(struct decompress, precision) == 296, "data_precision");
static_assert(offsetof(struct decompress, arithmetic) == 316, "arith_code");

enum {
    MESSAGE_SIZE = 256, /* libjpeg writes at most 200 */
    MAX_SCANS = 100,    /* encoders write up to 12; thousands take hours and carry nothing */
    MAX_PICTURES = 64,  /* of one decoder: each leaves its tables, 3 KB, until the decoder goes */
};

struct library {
    struct error_manager *(*std_error)(struct error_manager *);
    void (*create)(struct decompress *, int version, size_t size);
    void (*destroy)(struct decompress *);
    int (*read_header)(struct decompress *, int require_image);
    int (*start)(struct decompress *);
    unsigned (*read_rows)(struct decompress *, unsigned char **rows, unsigned max);
    unsigned (*skip_rows)(struct decompress *, unsigned rows);
    int (*finish)(struct decompress *);
    void (*abort)(struct decompress *);
    void (*crop)(struct decompress *, unsigned *left, unsigned *width);
    int (*resync)(struct decompress *, int desired);
};

struct decoder {
    struct decompress jpeg;
    struct error_manager errors;
    struct source_manager source;
    struct progress_monitor progress;
    const struct library *library;
    jmp_buf mark;
    int failed;
    int pictures; /* decoded before this one */
    char message[MESSAGE_SIZE];
};

/* What Rust reads of a header. */
struct header {
    unsigned width;
    unsigned height;
    unsigned components;
    unsigned precision;
};

static _Noreturn void fail(struct decompress *jpeg, const char *message)
{
    struct decoder *decoder = jpeg->common.owner;
    decoder->failed = 1;
    if (message)
        snprintf(decoder->message, MESSAGE_SIZE, "%s", message);
    longjmp(decoder->mark, 1);
}

static void on_error(struct common *common)
{
    struct decoder *decoder = common->owner;
    common->errors->format_message(common, decoder->message);
    fail(&decoder->jpeg, NULL);
}

static void on_message(struct common *common, int level)
{
    if (level < 0)
        common->errors->num_warnings++;
}

static void on_output(struct common *common) { (void)common; }

static void on_progress(struct common *common)
{
    struct decompress *jpeg = &((struct decoder *)common->owner)->jpeg;
    if (jpeg->scan_number > MAX_SCANS)
        fail(jpeg, "more than 100 scans");
}

static void source_nothing(struct decompress *jpeg) { (void)jpeg; }

static int source_fill(struct decompress *jpeg)
{
    fail(jpeg, "truncated JPEG");
}

static void source_skip(struct decompress *jpeg, long bytes)
{
    if (bytes <= 0)
        return;
    if ((size_t)bytes > jpeg->source->left)
        fail(jpeg, "truncated JPEG");
    jpeg->source->next += bytes;
    jpeg->source->left -= (size_t)bytes;
}

void vlclip_jpeg_close(struct decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->jpeg.common.memory) {
        if (!setjmp(decoder->mark))
            decoder->library->destroy(&decoder->jpeg);
    }
    free(decoder);
}

/* Sets up what `decoder` holds. 0 where memory or the library's interface do not allow it. */
static int set_up(struct decoder *decoder)
{
    const struct library *library = decoder->library;
    library->std_error(&decoder->errors);
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    decoder->errors.output_message = on_output;
    decoder->jpeg.common.errors = &decoder->errors;
    decoder->jpeg.common.owner = decoder; /* creating keeps both */
    if (setjmp(decoder->mark))
        return 0;
    library->create(&decoder->jpeg, ABI_VERSION, sizeof decoder->jpeg);
    decoder->progress.report = on_progress;
    decoder->jpeg.common.progress = &decoder->progress;
    return 1;
}

/* A decoder without data, or null and a message. */
static struct decoder *create(const struct library *library, char *message)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder) {
        snprintf(message, MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    decoder->library = library;
    if (!set_up(decoder)) {
        snprintf(message, MESSAGE_SIZE, "%s", decoder->message);
        vlclip_jpeg_close(decoder);
        return NULL;
    }
    return decoder;
}

/* Loads a library and tries it; null and a message where it is missing or is not libjpeg-turbo with
 * the interface of abi.h. Its place goes to `place`. A library stays loaded. */
const struct library *vlclip_jpeg_load(const char *path, char *place, size_t place_size, char *message)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        snprintf(message, MESSAGE_SIZE, "%s", reason ? reason : "it cannot be loaded");
        return NULL;
    }
    struct library *library = calloc(1, sizeof *library);
    if (!library) {
        snprintf(message, MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    struct {
        const char *name;
        void *slot;
    } wanted[] = {
        {"jpeg_std_error", &library->std_error},
        {"jpeg_CreateDecompress", &library->create},
        {"jpeg_destroy_decompress", &library->destroy},
        {"jpeg_read_header", &library->read_header},
        {"jpeg_start_decompress", &library->start},
        {"jpeg_read_scanlines", &library->read_rows},
        {"jpeg_skip_scanlines", &library->skip_rows}, /* only libjpeg-turbo has it */
        {"jpeg_finish_decompress", &library->finish},
        {"jpeg_abort_decompress", &library->abort},
        {"jpeg_crop_scanline", &library->crop}, /* as above */
        {"jpeg_resync_to_restart", &library->resync},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *found = dlsym(handle, wanted[i].name);
        if (!found) {
            snprintf(message, MESSAGE_SIZE, "it has no %s", wanted[i].name);
            free(library);
            dlclose(handle);
            return NULL;
        }
        memcpy(wanted[i].slot, &found, sizeof found);
    }
    struct decoder *trial = create(library, message);
    if (!trial) {
        free(library);
        dlclose(handle);
        return NULL;
    }
    vlclip_jpeg_close(trial);
    Dl_info info;
    void *function;
    memcpy(&function, &library->create, sizeof function);
    const char *file = dladdr(function, &info) && info.dli_fname ? info.dli_fname : path;
    snprintf(place, place_size, "%s", file);
    return library;
}

/* Reads the header. 0 on failure. */
static int read_header(struct decoder *decoder)
{
    if (setjmp(decoder->mark))
        return 0;
    /* Tables may come as a stream of their own before the picture; Pillow passes over them. */
    while (decoder->library->read_header(&decoder->jpeg, 0) == HEADER_TABLES_ONLY) {
    }
    return 1;
}

/* A decoder without a picture, or null and a message. */
struct decoder *vlclip_jpeg_create(const struct library *library, char *message) { return create(library, message); }

/* Reads the header of `bytes`, which must outlive the picture. 0 on failure. */
int vlclip_jpeg_open(struct decoder *decoder, const unsigned char *bytes, size_t size, struct header *header)
{
    decoder->source = (struct source_manager){
        .next = bytes,
        .left = size,
        .start = source_nothing,
        .fill = source_fill,
        .skip = source_skip,
        .resync = decoder->library->resync,
        .end = source_nothing,
    };
    decoder->jpeg.source = &decoder->source;
    if (!read_header(decoder))
        return 0;
    header->width = decoder->jpeg.image_width;
    header->height = decoder->jpeg.image_height;
    header->components = (unsigned)decoder->jpeg.num_components;
    header->precision = (unsigned)decoder->jpeg.precision;
    return 1;
}

/* Makes the decoder ready for another picture, as good as new. 0 where it must be closed instead. */
int vlclip_jpeg_reset(struct decoder *decoder)
{
    if (decoder->failed || ++decoder->pictures >= MAX_PICTURES || setjmp(decoder->mark))
        return 0;
    decoder->library->abort(&decoder->jpeg);
    /* A picture that brings no tables must not be decoded with those of the one before. */
    memset(decoder->jpeg.tables, 0, sizeof decoder->jpeg.tables);
    return 1;
}

/* Starts decoding at eighths / 8 of the size, to RGB, or to CMYK where the file has four components.
 * Gives the size that comes out. 0 on failure, as below. */
int vlclip_jpeg_start(struct decoder *decoder, unsigned eighths, int fancy, struct header *out)
{
    struct decompress *jpeg = &decoder->jpeg;
    if (decoder->failed || setjmp(decoder->mark))
        return 0;
    jpeg->out_colours = jpeg->num_components == 4 ? COLOUR_CMYK : COLOUR_RGB;
    jpeg->scale_num = eighths;
    jpeg->scale_denom = 8;
    jpeg->dct_method = DCT_ISLOW;
    jpeg->fancy_upsampling = fancy;
    if (!decoder->library->start(jpeg))
        fail(jpeg, "truncated JPEG");
    out->width = jpeg->output_width;
    out->height = jpeg->output_height;
    out->components = (unsigned)jpeg->output_components;
    out->precision = (unsigned)jpeg->precision;
    return 1;
}

/* Leaves out what lies beside `width` columns from `left` on, once started and before any row. Both become
 * those that come out, for they are widened to whole blocks. 0 on failure. */
int vlclip_jpeg_crop(struct decoder *decoder, unsigned *left, unsigned *width)
{
    if (decoder->failed || setjmp(decoder->mark))
        return 0;
    decoder->library->crop(&decoder->jpeg, left, width);
    return 1;
}

int vlclip_jpeg_skip(struct decoder *decoder, unsigned rows)
{
    if (decoder->failed || setjmp(decoder->mark))
        return 0;
    if (decoder->library->skip_rows(&decoder->jpeg, rows) != rows)
        fail(&decoder->jpeg, "fewer rows than the header says");
    return 1;
}

/* Reads `rows` rows of `stride` bytes. The caller has made sure that they fit into `out`. */
int vlclip_jpeg_read(struct decoder *decoder, unsigned char *out, size_t stride, unsigned rows)
{
    enum { AT_ONCE = 16 };
    unsigned char *starts[AT_ONCE];
    volatile unsigned done = 0;
    if (decoder->failed || setjmp(decoder->mark))
        return 0;
    while (done < rows) {
        unsigned want = rows - done < AT_ONCE ? rows - done : AT_ONCE;
        for (unsigned i = 0; i < want; i++)
            starts[i] = out + (size_t)(done + i) * stride;
        unsigned got = decoder->library->read_rows(&decoder->jpeg, starts, want);
        if (got == 0)
            fail(&decoder->jpeg, "truncated JPEG");
        done += got;
    }
    return 1;
}

/* Reads what follows the last row, up to the end marker, without which a file is truncated. */
int vlclip_jpeg_finish(struct decoder *decoder)
{
    if (decoder->failed || setjmp(decoder->mark))
        return 0;
    if (!decoder->library->finish(&decoder->jpeg))
        fail(&decoder->jpeg, "truncated JPEG");
    return 1;
}

const char *vlclip_jpeg_message(const struct decoder *decoder) { return decoder->message; }
