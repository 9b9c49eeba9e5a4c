.PHONY: help format lint types imports test fuzz slow check pictures figures bench gate

help:                ## list what there is
	@grep -E '^[a-z]+: *##' $(MAKEFILE_LIST) | sed 's/: *## /\t/'

format:              ## write code as it should look
	ruff format src tests benchmarks tools
	ruff check --fix src tests benchmarks tools

lint:                ## look for mistakes
	ruff format --check src tests benchmarks tools
	ruff check src tests benchmarks tools

types:               ## check types
	mypy

imports:             ## check that data flows one way
	lint-imports

test:                ## tests, without the slow ones
	pytest --cov --cov-report=term:skip-covered

fuzz:                ## broken inputs, as many of each kind as UNHEARD_FUZZ says
	nice pytest -n 0 -m fuzz

slow:                ## slow tests
	pytest -m slow

pictures:            ## the pictures of the documents, by the commands of their pages
	cd tools && python pictures.py && python system_picture.py

figures:             ## figures in the text against stored results
	unheard results --check README.md --check docs/default-model.md --check docs/results.md

check: lint types imports test figures  ## all of the above

bench:               ## benchmarks, one JSON object each
	for script in benchmarks/*.py; do python $$script || exit 1; done

gate:                ## what must pass before a release, in fresh environments
	bash .ci/run
