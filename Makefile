# SPDX-License-Identifier: MIT
# costep: the whole build. `make` alone lists the targets.
#
#   VARIANT=debug|release|asan|tsan   how to build (default debug)
#   CC=gcc|clang                      with what
#   V=1                               show every command

# --- settings ---------------------------------------------------------------

ARCH    := $(shell uname -m)
CC      := gcc
CXX     := $(if $(findstring clang,$(CC)),clang++,g++)
VARIANT := debug
PREFIX  := /usr/local
VERSION := 0.1.0

OPT_debug   := -O0
OPT_release := -O2
OPT_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined
OPT_tsan    := -O1 -fsanitize=thread
ifeq ($(OPT_$(VARIANT)),)
$(error VARIANT=$(VARIANT) is unknown; choose debug, release, asan or tsan)
endif
# OPT=-O3 on the command line gives a debug build of another level.
OPT     := $(OPT_$(VARIANT))

# The parts of coviz; each knows those before it (tests/layers.bats).
VIZ_PARTS := trace code record model grid view app
WARN    := -Wall -Wextra -Wshadow
BOTH    := -g -fPIC -fno-omit-frame-pointer -fstack-clash-protection \
           -D_GNU_SOURCE -Isrc $(addprefix -iquote viz/,$(VIZ_PARTS)) -MMD -MP $(WARN)
# -fexceptions: pthread_exit unwinds C++ resumers through our frames. Without it,
# link-time optimization concludes that nothing ever comes through co_resume.
CFLAGS  := -std=gnu11 -Wstrict-prototypes -fexceptions $(BOTH) $(EXTRA)
CXXFLAGS := -std=gnu++17 $(BOTH) $(EXTRA)
LDLIBS  := -lpthread -ldl

# Objects of different builds do not meet: build/debug-gcc-O0/...
# (CC="ccache gcc": debug-ccache-gcc-O0)
space   := $() $()
dir_for  = build/$(1)-$(subst $(space),-,$(notdir $(CC)))$(firstword $(2))
B       := $(call dir_for,$(VARIANT),$(OPT))
RELEASE := $(call dir_for,release,$(OPT_release))
# On the command line Q names a question: make question Q=17.
QUESTION := $(if $(filter command,$(origin Q)),$(Q))
override Q := $(if $(V),,@)
# $(call need,COMMAND,what make deps must be asked for): else a recipe ends here.
need     = $(if $(shell command -v $(firstword $(1))),,$(error $(firstword $(1)) is missing; \
           'make deps $(2)' installs what Debian has of it))
# (`make bench JSON=1`: standard output is for something else.)
say      = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2)$(if $(filter 1,$(JSON)), >&2))

# `make deps X`: everything waits until the packages are there, with -j too.
WAIT    := $(filter deps,$(MAKECMDGOALS))

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# --- layers -------------------------------------------------------------------

include lessons/stages.mk

objects     = $(addprefix $(B)/,$(addsuffix .o,$(1)))
stage_files = $(foreach n,$(NEEDS_$(1)) $(1),$(FILES_$(n)))
stage       = $(call objects,$(call stage_files,$(1)))
HOOK_FILES := $(FILES_$(HOOKS))
LIB_FILES  := $(filter-out $(HOOK_FILES),$(foreach n,$(LESSONS),$(FILES_$(n))))

# --- compiling ----------------------------------------------------------------

# The library shows the names of its public headers and no others.
build/%: HIDDEN :=
$(B)/src/% $(RELEASE)/src/%: HIDDEN := -fvisibility=hidden

# How objects are made: when that changes, they are made again. It changes by
# variables, and when valgrind's header comes (src/annotate.h uses it if it is
# there; `make deps demo` does not install it, `make deps test` does), or for bench a peer's.
LOOKED_FOR := /usr/include/valgrind/memcheck.h
how      = $(CC) $(CFLAGS) $(CXXFLAGS) $(1) $(wildcard $(LOOKED_FOR))
quote    = '$(subst ','\'',$(1))'

define compile_rules
$(1)/how: FORCE | $$(WAIT)
	@mkdir -p $$(@D)
	@how=$$(call quote,$$(call how,$(2))); printf '%s\n' "$$$$how" | cmp -s - $$@ || printf '%s\n' "$$$$how" >$$@
$(1)/%.o: %.c Makefile $(1)/how | $$(WAIT)
	$$(call need,$$(CC),$$(if $$(filter gcc,$$(CC)),lesson1,test))$$(call say,CC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $$(HIDDEN) $(2) -c $$< -o $$@
$(1)/%.o: %.S Makefile $(1)/how | $$(WAIT)
	$$(call need,$$(CC),$$(if $$(filter gcc,$$(CC)),lesson1,test))$$(call say,AS,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -g -Iasm -MMD -MP $$(EXTRA) -c $$< -o $$@
$(1)/%.o: %.cpp Makefile $(1)/how | $$(WAIT)
	$$(call need,$$(CXX),test)$$(call say,CXX,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(CXXFLAGS) $(2) -c $$< -o $$@
endef
$(eval $(call compile_rules,$(B),$(OPT)))
ifneq ($(B),$(RELEASE)) # the library is always a release build
$(eval $(call compile_rules,$(RELEASE),$(OPT_release)))
endif

FORCE:

-include $(shell find $(B) $(RELEASE) -name '*.d' 2>/dev/null)

# --- the library --------------------------------------------------------------

LIB_OBJECTS := $(addprefix $(RELEASE)/,$(addsuffix .o,$(LIB_FILES)))

lib: build/libcostep.a build/libcostep.so build/libcostep.so.0 build/costep_hooks.o ## build/libcostep.a, build/libcostep.so, build/costep_hooks.o (release build)

# Each compiler's library is its own; build/ has a copy of the one asked for last. A new file: the
# old one may be running.
copy_if_other = $(Q)cmp -s $< $@ || { rm -f $@ && cp $< $@; }

build/libcostep.%: $(RELEASE)/libcostep.% FORCE
	$(copy_if_other)

build/costep_hooks.o: $(RELEASE)/costep_hooks.o FORCE
	$(copy_if_other)

# The name that programs linked with the shared one look for.
build/libcostep.so.0: | build/libcostep.so
	$(Q)ln -sf libcostep.so $@

$(RELEASE)/libcostep.a: $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# nodelete: a signal handler and thread destructors point into it.
$(RELEASE)/libcostep.so: $(LIB_OBJECTS)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libcostep.so.0 -Wl,-z,nodelete -Wl,-z,defs $^ $(LDLIBS) -o $@

# The hooks as one object, which shows the replaced names and its public functions. (And what a
# compiler of functions with cleanups adds, for ThreadSanitizer: it is in several objects, of which the linker
# keeps one. A local name for another one's would lead nowhere, and so would the unwinder.)
define hooks_rule
$(1)/costep_hooks.o: $(HOOK_FILES:%=$(1)/%.o)
	$$(call say,LD,$$@)
	$$(Q)$$(LD) -r $$^ -o $$@ && objcopy --localize-hidden $$@ && \
	  objcopy --wildcard --globalize-symbol='DW.ref.*' $$@
endef
$(foreach d,$(sort $(B) $(RELEASE)),$(eval $(call hooks_rule,$(d))))

PUBLIC_HEADERS := coctx coroutine attach loop clock sleep closing co_poll kept hooks sharestack stack_used cond mutex specific closure remote debug costep

install: lib ## install under PREFIX=/usr/local (DESTDIR=... for packaging)
	install -d "$(DESTDIR)$(PREFIX)/include/costep" "$(DESTDIR)$(PREFIX)/lib/pkgconfig"
	install -m 644 $(PUBLIC_HEADERS:%=src/%.h) "$(DESTDIR)$(PREFIX)/include/costep"
	install -d "$(DESTDIR)$(PREFIX)/include/costep/compat"
	install -m 644 src/compat/*.h "$(DESTDIR)$(PREFIX)/include/costep/compat"
	install -m 644 build/libcostep.a "$(DESTDIR)$(PREFIX)/lib"
	install -m 755 build/libcostep.so "$(DESTDIR)$(PREFIX)/lib/libcostep.so.0"
	ln -sf libcostep.so.0 "$(DESTDIR)$(PREFIX)/lib/libcostep.so"
	install -d "$(DESTDIR)$(PREFIX)/lib/costep"
	install -m 644 build/costep_hooks.o "$(DESTDIR)$(PREFIX)/lib/costep"
	install -d "$(DESTDIR)$(PREFIX)/lib/costep/gdb/costep"
	install -m 644 gdb/costep-gdb.py "$(DESTDIR)$(PREFIX)/lib/costep/gdb"
	install -m 644 gdb/costep/*.py "$(DESTDIR)$(PREFIX)/lib/costep/gdb/costep"
	printf '%s\n' 'prefix=$(PREFIX)' 'hooks=$${prefix}/lib/costep/costep_hooks.o' \
	  'compat=$${prefix}/include/costep/compat' 'Name: costep' 'Description: stackful coroutines that can be looked at' \
	  'Version: $(VERSION)' 'Cflags: -I$${prefix}/include/costep' 'Libs: -L$${prefix}/lib -lcostep' \
	  'Libs.private: -lpthread -ldl' > "$(DESTDIR)$(PREFIX)/lib/pkgconfig/costep.pc"

# --- coviz ----------------------------------------------------------------------

VIZ_FILES := $(sort $(patsubst %.c,%,$(wildcard $(VIZ_PARTS:%=viz/%/*.c))))
VIZ_LIBS := -ldw -lelf -lcapstone -lncursesw -lutil
viz_objects = $(addprefix $(1)/,$(addsuffix .o,$(VIZ_FILES)))

coviz: build/coviz ## the recorder and the viewer: build/coviz
build/coviz: $(RELEASE)/coviz FORCE
	$(copy_if_other)
define coviz_rule
$(1)/coviz: $$(call viz_objects,$(1))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $(2) $$^ $$(LDLIBS) $$(VIZ_LIBS) -o $$@
endef
$(eval $(call coviz_rule,$(RELEASE),$(OPT_release)))
ifneq ($(B),$(RELEASE))
$(eval $(call coviz_rule,$(B),$(OPT)))
endif
.PHONY: coviz

# --- lessons --------------------------------------------------------------------

demo_of   = $(B)/lessons/$(NAME_$(1))/demo

define lesson_rules
$(call demo_of,$(1)): $(call objects,lessons/$(NAME_$(1))/demo) $(call stage,$(1))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(OPT) -rdynamic $$^ $$(LDLIBS) -o $$@

.PHONY: lesson$(1) gdb$(1) viz$(1) test$(1)
lesson$(1): $(call demo_of,$(1)) | $$(WAIT)
	@lessons/run $(NAME_$(1)) $$<
gdb$(1): $(call demo_of,$(1)) | $$(WAIT)
	@lessons/gdb $(NAME_$(1)) $$<
viz$(1): $(call demo_of,$(1)) build/coviz | $$(WAIT)
	@lessons/viz $(NAME_$(1)) $$< build/coviz
test$(1): $(foreach n,$(NEEDS_$(1)) $(1),$(foreach t,$(TESTS_$(n)),$(B)/stage$(1)/$(t))) | $$(WAIT)
	@tests/run $$^
endef
$(foreach n,$(LESSONS),$(eval $(call lesson_rules,$(n))))

# A number that there is no lesson for (yet).
no_lesson = @echo "make: there is no lesson $(1); there are: $(LESSONS)" >&2; exit 2
lesson%:
	$(call no_lesson,$*)
gdb%:
	$(call no_lesson,$*)
viz%:
	$(call no_lesson,$*)
test%:
	$(call no_lesson,$*)

# Without a number. (Some of them are directories: make would say "nothing to be done".)
lesson viz gdb exercise check hint diff solution break: FORCE
	@echo "make: of which lesson? make $@3 is that of lesson 3$(if $(filter check,$@),; make test runs all tests)" >&2; exit 2

# What only `make help` reads: lines for the patterns above.
# lessonN: ## build lesson N from its layers alone, run its demo, compare the output
# testN: ## run the tests of lesson N's layer and those below, linked with them alone
# gdbN: ## a guided session in GDB on lesson N, from its first switch on
# vizN: ## record lesson N and travel through its switches in coviz

demo: viz3 ## the shortest look: coviz on lesson 3 (without a terminal: three screens of it)
.PHONY: demo

include lessons/questions.mk

# A question for an exam, whose answer is computed by the library.
$(B)/lessons/exam: $(call objects,lessons/exam) $(call stage,3)
	$(call say,LINK,$@)
	$(Q)$(CC) $(OPT) -rdynamic $^ $(LDLIBS) -o $@
exam: $(B)/lessons/exam | $(WAIT) ## who runs when? A question for an exam: SEED=7; its answer: SEED=7 KEY=1
	@$< '$(SEED)' $(if $(KEY),key)
.PHONY: exam

# --- tests ------------------------------------------------------------------------

# Tests of layers that no lesson brings together (hooks and shared stacks): linked with
# the whole library and the hooks; run by unit, test and the matrix, by no testN.
TESTS_ALL := t_hook_shared t_program
UNIT      := $(foreach n,$(LESSONS),$(TESTS_$(n))) $(TESTS_ALL)
# The long ones first, so that none of them runs alone at the end.
BATS_LONG := texts unwind levels gdb build clients layers
BATS      := $(BATS_LONG:%=tests/%.bats) $(filter-out $(BATS_LONG:%=tests/%.bats),$(wildcard tests/*.bats))
# The calls that t_fault makes fail: the linker hands them to the test.
WRAP_t_fault := -Wl,--wrap=mmap,--wrap=munmap,--wrap=madvise,--wrap=mprotect,--wrap=malloc,--wrap=calloc,--wrap=free \
                -Wl,--wrap=pthread_key_create,--wrap=pthread_setspecific
# Where t_sleep hears which clock is read, and how long a sleep is asked for.
WRAP_t_sleep := -Wl,--wrap=clock_gettime,--wrap=gettimeofday,--wrap=time,--wrap=syscall \
                -Wl,--wrap=timerfd_create,--wrap=timerfd_settime
WRAP_t_sleep_fault := -Wl,--wrap=malloc,--wrap=calloc,--wrap=free,--wrap=syscall,--wrap=__close \
                      -Wl,--wrap=timerfd_create,--wrap=timerfd_settime
# Those that tests/unit/kernel.h counts and makes fail.
WRAP_EPOLL := -Wl,--wrap=epoll_create1,--wrap=epoll_ctl,--wrap=epoll_wait,--wrap=epoll_pwait2
WRAP_t_epoll := $(WRAP_EPOLL)
WRAP_t_poll  := $(WRAP_EPOLL)
WRAP_t_poll_fault := $(WRAP_EPOLL) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
# The hooks' own calls: the linker hands them to the tests, for costep_hooks.o is not a
# shared library.
WRAP_t_hook_same := -Wl,--wrap=preadv2,--wrap=pwritev2
WRAP_t_hook_story := $(WRAP_t_hook_same)
WRAP_t_hook := -Wl,--wrap=epoll_ctl,--wrap=malloc,--wrap=calloc,--wrap=free
WRAP_t_hook_known := -Wl,--wrap=epoll_ctl,--wrap=getsockopt
WRAP_t_hook_fault := $(WRAP_t_hook_same) -Wl,--wrap=epoll_ctl,--wrap=epoll_wait,--wrap=epoll_pwait2,--wrap=malloc,--wrap=calloc
# Where t_hook_shared is libc's resolver and the clock on the wall, and counts memory.
WRAP_t_hook_shared := -Wl,--wrap=dlsym,--wrap=freeaddrinfo,--wrap=clock_gettime \
                      -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=free
WRAP_t_sharestack := -Wl,--wrap=malloc,--wrap=calloc,--wrap=free
# Those that tests/unit/sync.h counts, makes fail, and looks at.
WRAP_SYNC    := -Wl,--wrap=malloc,--wrap=calloc,--wrap=free,--wrap=co_wake,--wrap=co_attach,--wrap=co_timer_add
WRAP_t_cond  := $(WRAP_SYNC)
WRAP_t_mutex := $(WRAP_SYNC)
WRAP_t_closure := -Wl,--wrap=malloc,--wrap=free
WRAP_t_specific := -Wl,--wrap=calloc,--wrap=aligned_alloc,--wrap=free \
                   -Wl,--wrap=pthread_key_create,--wrap=pthread_key_delete,--wrap=pthread_setspecific
WRAP_t_remote := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,--wrap=eventfd,--wrap=epoll_ctl
LIBS_t_unwind := -lunwind
LIBS_t_unwind_shared := -lunwind
LIBS_t_program := -lunwind

# $(B)/stageN/t_x: the test linked with lesson N's stage; $(B)/tests/t_x: with
# the whole library. A layer that only works below the others is a lie.
define unit_rule
$(B)/$(1)/%: $(B)/tests/unit/%.o $(2)
	$$(call need,$$(CXX),test)$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(OPT) -rdynamic $$(WRAP_$$*) $$^ $$(LDLIBS) $$(LIBS_$$*) -o $$@
endef
$(foreach n,$(LESSONS),$(eval $(call unit_rule,stage$(n),$(call stage,$(n)))))
$(eval $(call unit_rule,tests,$(call objects,$(LIB_FILES))))
# These need the hooks beside the library.
$(addprefix $(B)/tests/,$(TESTS_$(HOOKS)) $(TESTS_ALL)): $(B)/costep_hooks.o
# coviz's: linked with its parts, and with nothing of the library; two look at the switch.
TESTS_VIZ := $(sort $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/t_viz_*.c)))
VIZ_PROGRAMS := $(TESTS_VIZ:%=$(B)/viztests/%)
$(B)/viztests/%: $(B)/tests/unit/%.o $(filter-out %/main.o,$(call viz_objects,$(B)))
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) -rdynamic $^ $(LDLIBS) $(VIZ_LIBS) -o $@
$(B)/viztests/t_viz_symbols $(B)/viztests/t_viz_say: $(B)/asm/coctx_swap_$(ARCH).o
$(B)/viztests/t_viz_lessons: | $(foreach n,1 2 3 10,$(call demo_of,$(n)))
$(TESTS_VIZ:%=$(B)/tests/unit/%.o): | have-test
viztest: $(VIZ_PROGRAMS) | $(WAIT) ## the unit tests of coviz
	@tests/run $^

# These look at registers, by an assembly helper.
TESTS_WITH_REGISTERS := t_swap t_context t_random t_random_shared t_preempt
$(foreach d,tests $(LESSONS:%=stage%),$(addprefix $(B)/$(d)/,$(TESTS_WITH_REGISTERS))): $(B)/tests/unit/regs_$(ARCH).o
.PRECIOUS: $(B)/%.o

include lessons/exercise.mk
include lessons/mutants.mk

UNIT_PROGRAMS := $(UNIT:%=$(B)/tests/%)

# Before anything of the tests is built: is there all that they will need? (The unit tests of
# one build want no servers and no second compiler.)
UNIT_GOALS := unit viztest $(LESSONS:%=test%)
have-test: FORCE | $(WAIT)
	@.ci/deps --missing lesson check unit $(if $(filter-out deps $(UNIT_GOALS),$(MAKECMDGOALS)),debug test) || \
	  { echo "'make deps $(firstword $(filter-out deps,$(MAKECMDGOALS)))' installs them"; exit 1; }
# (lessons/check asks for the few packages that an exercise needs.)
ifeq ($(filter programs-of-exercise%,$(MAKECMDGOALS)),)
$(UNIT:%=$(B)/tests/unit/%.o): | have-test
endif

unit: $(UNIT_PROGRAMS) | $(WAIT) ## the unit tests of one build: VARIANT=..., CC=..., OPT=...
	@tests/run $^

bench-viz: $(B)/viztests/bench_viz | $(WAIT) ## how long coviz takes with 1 000 000 states; VARIANT=release for true numbers
	@$<

test: $(UNIT_PROGRAMS) $(VIZ_PROGRAMS) $(foreach n,$(LESSONS),$(call demo_of,$(n))) lib coviz | $(WAIT) ## all tests, debug build, gcc
	@CC='$(CC)' B='$(B)' tests/run $(BATS) $(UNIT_PROGRAMS) $(VIZ_PROGRAMS)

test-all: test ## the same in all variants and compilers
	@tests/matrix

defects: $(UNIT_PROGRAMS) lib | $(WAIT) ## what libco gets wrong, row by row, with the result of our tests
	@B='$(B)' tests/defects

# --- speed --------------------------------------------------------------------------

# CF=1: with -fcf-protection. A folder for each way to build, its hooks and programs too.
is_on    = $(filter-out 0,$(1))
CF_FLAG := -fcf-protection=$(if $(call is_on,$(CF)),full,none)
BENCH   := $(call dir_for,bench,$(if $(call is_on,$(CF)),-cf))
PEERS   := $(basename $(notdir $(wildcard tests/bench/peer_*.c tests/bench/peer_*.cpp)))
bench_objects = $(addprefix $(BENCH)/tests/bench/,$(addsuffix .o,$(1)))
# Statically, so that a peer's calls are as direct as ours.
BENCH_LIBS_peer_boost      := libboost_context.a
BENCH_LIBS_peer_coroutine2 := libboost_context.a
BENCH_LIBS_peer_fiber      := libboost_fiber.a libboost_context.a
BENCH_LIBS_peer_st         := libst.a
BENCH_LIBS_peer_pth        := libpth.a
BENCH_LIBS_peer_pcl        := libpcl.a
lib_dirs   := /usr/lib/$(ARCH)-linux-gnu /usr/lib
bench_libs  = $(foreach l,$(BENCH_LIBS_$(1)),$(wildcard $(addsuffix /$(l),$(lib_dirs))))
# libboost-dev has the headers of all of Boost, and not one of these: a peer needs both.
no_library  = $(foreach l,$(BENCH_LIBS_$(1)),$(if $(wildcard $(addsuffix /$(l),$(lib_dirs))),,-DNO_LIBRARY))
$(BENCH)/how: LOOKED_FOR += /usr/include/boost/context/fiber.hpp /usr/include/boost/coroutine2/coroutine.hpp \
                            /usr/include/boost/fiber/all.hpp /usr/include/st.h /usr/include/pth.h /usr/include/pcl.h \
                            $(foreach p,$(PEERS),$(call bench_libs,$(p)))
$(BENCH)/tests/bench/peer_%.o: LACKS = $(firstword $(call no_library,$(basename $(notdir $@))))
$(BENCH)/src/%: HIDDEN := -fvisibility=hidden
# The programs around, and what peers have in headers, are built as a user of either would: what
# our library asks of the compiler for its own sake cost Boost a tenth of a round trip.
# Peers' headers say <assert.h> and mean libc's; and they check less without a debug build.
plain     = $(filter-out -fPIC -fno-omit-frame-pointer -fstack-clash-protection,$(patsubst -Isrc,-iquote src,$(1))) -DNDEBUG
$(BENCH)/tests/bench/%: CFLAGS := $(call plain,$(CFLAGS))
$(BENCH)/tests/bench/%: CXXFLAGS := $(call plain,$(CXXFLAGS)) \
                                    $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized)
.PRECIOUS: $(BENCH)/%.o
$(eval $(call compile_rules,$(BENCH),-O2 $(CF_FLAG) $$(LACKS)))
$(eval $(call hooks_rule,$(BENCH)))

$(BENCH)/peer_costep: $(addprefix $(BENCH)/,$(addsuffix .o,$(LIB_FILES))) $(BENCH)/costep_hooks.o
$(BENCH)/peer_floor: $(call bench_objects,floor_swap_$(ARCH))
# Four times: with 0 to 3 times 16 bytes before all code. Where it lies in cache lines makes up
# to a tenth of a switch; rounds take them in turn (samples.c), so that this is in the spread.
PAD := $(call bench_objects,pad)
$(BENCH)/peer_%: $(call bench_objects,worker loop trace crowd talk jobs) $(BENCH)/tests/bench/peer_%.o | $(PAD)
	$(call need,$(CXX),bench)$(call say,LINK,$@)
	$(Q)pad=; for n in 0 1 2 3; do \
	  $(CXX) -Wl,-z,noexecstack $$pad $^ $(call bench_libs,peer_$*) $(LDLIBS) -o $@.$$n || exit; pad="$$pad $(PAD)"; \
	done; ln -f $@.0 $@
$(BENCH)/bench: $(call bench_objects,bench options workers samples client results targets report json svg machine jobs)
	$(call say,LINK,$@)
	$(Q)$(CC) $^ -lm -o $@

-include $(shell find $(BENCH) -name '*.d' 2>/dev/null)

BENCH_PROGRAMS := $(BENCH)/bench $(PEERS:%=$(BENCH)/%)
bench: $(BENCH_PROGRAMS) | $(WAIT) ## speed, beside other libraries: QUICK=1 ONLY=switch,io JSON=1|FILE SVG=FILE ROUNDS=9 CF=1 CC=clang
	@$(BENCH)/bench --peers $(BENCH) --targets tests/bench/targets.txt --built '$(notdir $(CC)) -O2 $(CF_FLAG)' \
	  $(if $(call is_on,$(QUICK)),--quick) $(if $(ONLY),--only '$(ONLY)') $(if $(JSON),--json '$(JSON)') $(if $(SVG),--svg '$(SVG)') \
	  $(if $(ROUNDS),--rounds '$(ROUNDS)')
.PHONY: bench

lint: | $(WAIT) ## shellcheck, headers on their own as C11, C++17, C++20
	@tests/lint

figures: | $(WAIT) ## put fresh screens of coviz into the texts
	$(call need,python3,figures)@tests/textcheck --write-figures

textcheck: | $(WAIT) ## code blocks, experiments and links in the texts
	$(call need,python3,textcheck)@tests/textcheck

# --- machine ------------------------------------------------------------------------

# Which groups of .ci/packages are wanted, by what else is asked for; or, without doing that,
# by FOR: make deps FOR=test.
asked     = $(filter $(1),$(MAKECMDGOALS) $(FOR))
ALL_TESTS := test test-all lint textcheck figures defects mutants symptoms recordings
GROUPS := $(strip lesson debug $(if $(call asked,check% bench $(UNIT_GOALS) $(ALL_TESTS)),check) \
          $(if $(call asked,bench),bench) $(if $(call asked,$(UNIT_GOALS) $(ALL_TESTS)),unit) $(if $(call asked,$(ALL_TESTS)),test))

deps: ## install the Debian packages that are missing; FOR=test, FOR=bench, FOR=check3: those for these too
	@.ci/deps $(GROUPS)

doctor: ## what is missing on this machine, what it costs, what repairs it
	@CC='$(CC)' lessons/doctor

# What scripts ask: `make -s print-LESSONS`.
print-%:
	@echo '$($*)'

clean: ## remove everything that was built
	rm -rf build

help: ## this list
	@printf 'costep: coroutines, step by step.   make lesson1 is the place to begin.\n\n'
	@sed -nE 's/^#? ?([A-Za-z][A-Za-z0-9-]*):[^#=]*## (.*)/  make \1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | \
	  awk -F '\t' '{ printf "%-18s %s\n", $$1, $$2 }'
	@printf '\nVARIANT=debug|release|asan|tsan  CC=gcc|clang  OPT=-O3  V=1 (show commands)\nLessons show what their texts say in debug and release; the sanitizers find some of it wrong.\n'

.PHONY: lib install unit viztest bench-viz test test-all defects lint figures textcheck deps doctor clean help
