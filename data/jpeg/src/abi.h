/* What this project needs of libjpeg's binary interface, version 62, on 64-bit machines. The library
 * checks version and sizes of the structures itself, shim.c (decompress) and encode.c (compress) the
 * offsets, when they are compiled. */

#ifndef VLCLIP_JPEG_ABI_H
#define VLCLIP_JPEG_ABI_H

#include <stddef.h>

#define ABI_VERSION 62
#define ABI_DECOMPRESS_SIZE 632
#define ABI_COMPRESS_SIZE 520
#define ABI_ERROR_SIZE 168

enum { HEADER_SUSPENDED = 0, HEADER_OK = 1, HEADER_TABLES_ONLY = 2 };
enum { COLOUR_RGB = 2, COLOUR_CMYK = 4 };
enum { DCT_ISLOW = 0 };

struct common;
struct decompress;
struct compress;

struct error_manager {
    void (*error_exit)(struct common *);
    void (*emit_message)(struct common *, int level);
    void (*output_message)(struct common *);
    void (*format_message)(struct common *, char *text);
    void (*reset)(struct common *);
    int code;
    char parameters[80];
    int trace_level;
    long num_warnings;
    const char *const *messages;
    int last_message;
    const char *const *more_messages;
    int first_more;
    int last_more;
};

struct source_manager {
    const unsigned char *next;
    size_t left;
    void (*start)(struct decompress *);
    int (*fill)(struct decompress *);
    void (*skip)(struct decompress *, long bytes);
    int (*resync)(struct decompress *, int desired);
    void (*end)(struct decompress *);
};

struct progress_monitor {
    void (*report)(struct common *);
    long done;
    long limit;
    int passes_done;
    int passes;
};

/* What both structures begin with. */
struct common {
    struct error_manager *errors;
    void *memory;
    struct progress_monitor *progress;
    void *owner;
    int is_decompressor;
    int state;
};

struct decompress {
    struct common common;
    struct source_manager *source;
    unsigned image_width;
    unsigned image_height;
    int num_components;
    int file_colours;
    int out_colours;
    unsigned scale_num;
    unsigned scale_denom;
    double gamma;
    int buffered_image;
    int raw_data_out;
    int dct_method;
    int fancy_upsampling;
    int block_smoothing;
    int quantize_colours;
    int dither;
    int two_pass_quantize;
    int wanted_colours;
    int quantizers[3];
    unsigned output_width;
    unsigned output_height;
    int out_colour_components;
    int output_components;
    int rows_at_once;
    int actual_colours;
    void *colour_map;
    unsigned output_row;
    int scan_number;
    unsigned input_row_of_blocks;
    int output_scan_number;
    unsigned output_row_of_blocks;
    void *coefficient_bits;
    void *tables[12];
    int precision;
    void *components;
    int progressive;
    int arithmetic;
    /* What follows is the library's own. */
    char rest[ABI_DECOMPRESS_SIZE - 320];
};

struct destination_manager {
    unsigned char *next;
    size_t left;
    void (*start)(struct compress *);
    int (*empty)(struct compress *);
    void (*end)(struct compress *);
};

struct compress {
    struct common common;
    struct destination_manager *destination;
    unsigned image_width;
    unsigned image_height;
    int input_components;
    int input_colours;
    double gamma;
    int precision;
    int num_components;
    int file_colours;
    void *components;
    void *tables[12];
    unsigned char arithmetic_conditions[48];
    int num_scans;
    const void *scans;
    int raw_data_in;
    int arithmetic;
    int optimize_coding;
    int cosited;
    int smoothing;
    int dct_method;
    unsigned restart_interval;
    int restart_in_rows;
    int write_jfif;
    unsigned char jfif_version[2];
    unsigned char density_unit;
    unsigned short density[2];
    int write_adobe;
    unsigned next_row;
    /* What follows is the library's own. */
    char rest[ABI_COMPRESS_SIZE - 308];
};

#endif
