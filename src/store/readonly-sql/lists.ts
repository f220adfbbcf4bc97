/**
 * What a statement of a user may consist of, besides functions. Each list says what is allowed; nothing else is.
 */

const wordsOf = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** How a statement may begin. */
export const STATEMENTS = wordsOf('select with show describe desc explain exists');

/** What may follow SHOW. */
export const SHOWABLE = wordsOf('tables databases columns create full functions indexes');

/** What may follow SHOW CREATE; a name of a table may as well. */
export const NOT_SHOWABLE_CREATE =
  /^(users?|roles?|row|policy|policies|quotas?|settings|profiles?|masking|named|workloads?|resources?|dictionary|database|function|temporary|access)$/;

/** What may stand between EXPLAIN and its query. */
export const EXPLAINABLE = wordsOf('ast syntax plan pipeline estimate query tree');

/** Table functions that make rows out of nothing, or out of a query that is checked like all else. */
export const TABLE_FUNCTIONS = wordsOf(
  'numbers numbers_mt zeros zeros_mt values view null generate_series generateseries primes',
);

/** Keywords that a bracket may follow and that are no calls. */
export const BEFORE_BRACKET = wordsOf(`
  select from where prewhere having qualify and or not in on using join by as with over union all except intersect distinct
  limit offset when then else case between like ilike is any exists settings final values array rollup cube sets
  table replace columns apply interpolate fill step to top end global asof div mod exclude recursive overlay ties
`);

/** Types with parameters, in CAST and after `::`. Not AggregateFunction: a state that a user wrote is a program of its own. */
export const TYPES = wordsOf(`
  array bool bfloat16 datetime datetime64 datetime32 date date32 dec decimal decimal32 decimal64 decimal128 decimal256 dynamic enum enum8
  enum16 fixedstring json lowcardinality map nested nullable numeric simpleaggregatefunction string time time64 tuple varchar char
  variant binary varbinary int8 int16 int32 int64 uint8 uint16 uint32 uint64 int integer bigint smallint tinyint float double
`);

/** Unquoted words after which an expression or a name must follow, so that the next word is no clause. */
export const BEFORE_OPERAND = wordsOf(`
  select distinct where prewhere having qualify and or not on by when then else case from join like ilike in between using
  limit offset as with describe table apply
`);

/** Unquoted words that may follow an operand. */
export const AFTER_OPERAND = wordsOf(`
  as from where prewhere having qualify and or not in is like ilike between group order limit offset union except intersect
  asc desc nulls collate when then else end join left right inner full cross any all semi anti asof array global final sample
  on using div mod regexp window fill step to with settings format over respect ignore filter paste
`);

/** Unquoted words that begin or carry what is no read. Quoted, after a dot or as an operand they are names. */
export const OFF = wordsOf(`
  into outfile infile parallel insert alter drop truncate kill set use attach detach rename exchange optimize grant revoke execute
  backup restore undrop move watch delete update begin commit rollback check copy call create compression level append
`);

/** Tables of `system` that describe our tables and the language. Others tell of other users, statements, files and servers. */
export const SYSTEM_TABLES = wordsOf(
  'tables columns parts databases functions formats one numbers data_type_families table_functions settings',
);

/** Columns of them that tell where things lie. With such a table, `*` and the like are refused too. */
export const HIDDEN_COLUMNS: Readonly<Record<string, ReadonlySet<string>>> = {
  tables: wordsOf('data_paths metadata_path'),
  databases: wordsOf('data_path metadata_path engine_full'),
  parts: wordsOf('path disk_name'),
};

/** Aggregates by the text of their first argument. */
export const BY_NAME_OF_AGGREGATE = wordsOf('arrayreduce arrayreduceinranges initializeaggregation');

/** Formats of results: without schema files, without the protocols of other databases, without calls to a registry. */
export const RESULT_FORMATS = wordsOf(`
  arrow arrowstream avro bsoneachrow buffers csv csvwithnames csvwithnamesandtypes geojson hash json jsoncolumns jsoncolumnswithmetadata
  jsoncompact jsoncompactcolumns jsoncompacteachrow jsoncompacteachrowwithnames jsoncompacteachrowwithnamesandtypes
  jsoncompacteachrowwithprogress jsoncompactstrings jsoncompactstringseachrow jsoncompactstringseachrowwithnames
  jsoncompactstringseachrowwithnamesandtypes jsoncompactstringseachrowwithprogress jsoneachrow jsoneachrowwithprogress jsonl jsonlines
  jsonobjecteachrow jsonstrings jsonstringseachrow jsonstringseachrowwithprogress lineasstring lineasstringwithnames
  lineasstringwithnamesandtypes markdown md msgpack native ndjson npy null orc parquet pretty prettycompact prettycompactmonoblock
  prettycompactnoescapes prettycompactnoescapesmonoblock prettyjsoneachrow prettyjsonlines prettymonoblock prettyndjson prettynoescapes
  prettynoescapesmonoblock prettyspace prettyspacemonoblock prettyspacenoescapes prettyspacenoescapesmonoblock prometheus raw rawblob
  rawwithnames rawwithnamesandtypes rowbinary rowbinarywithnames rowbinarywithnamesandtypes sqlinsert tabseparated tabseparatedraw
  tabseparatedrawwithnames tabseparatedrawwithnamesandtypes tabseparatedwithnames tabseparatedwithnamesandtypes tskv tsv tsvraw
  tsvrawwithnames tsvrawwithnamesandtypes tsvwithnames tsvwithnamesandtypes values vertical xml
`);
