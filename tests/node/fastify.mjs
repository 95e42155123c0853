// What a Better Auth user would write in the place of this service: Fastify, pg and jose, as their documentation has
// it, with JSON schemas for what goes in and out and with its log on. The benchmark loads it beside the service.
import Fastify from 'fastify'
import { jwtVerify } from 'jose'
import pg from 'pg'

const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET)
const pool = new pg.Pool({ host: process.env.PGHOST, user: 'postgres', database: 'postgres', max: 16 })
const app = Fastify({ logger: true })
const COLUMNS = 'id, user_id, title, description, complete, created_at, updated_at'

const title = { type: 'string', minLength: 1, maxLength: 200 }
const description = { type: ['string', 'null'], maxLength: 1000 }
const complete = { type: 'boolean' }
const task = {
  type: 'object',
  properties: {
    id: { type: 'integer' },
    user_id: { type: 'string' },
    title,
    description,
    complete,
    created_at: { type: 'string' },
    updated_at: { type: 'string' },
  },
}
const create = {
  body: {
    type: 'object', required: ['title'], additionalProperties: false, properties: { title, description },
  },
  response: { 201: task },
}
const replace = {
  body: {
    type: 'object',
    required: ['title', 'complete'],
    additionalProperties: false,
    properties: { title, description, complete },
  },
  response: { 200: task },
}
const change = {
  body: {
    type: 'object', minProperties: 1, additionalProperties: false, properties: { title, description, complete },
  },
  response: { 200: task },
}
const list = {
  querystring: {
    type: 'object',
    properties: {
      complete, limit: { type: 'integer', minimum: 1, maximum: 500, default: 500 }, after: { type: 'integer' },
    },
  },
  response: {
    200: {
      type: 'object',
      properties: { tasks: { type: 'array', items: task }, count: { type: 'integer' } },
    },
  },
}

app.addHook('onRequest', async (request, reply) => {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  try {
    if (scheme !== 'Bearer') throw new Error('no bearer token')
    const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'] })
    if (payload.sub !== request.params.user_id) return reply.code(403).send({ detail: 'forbidden' })
  } catch {
    return reply.code(401).send({ detail: 'sign in' })
  }
})

app.get('/api/:user_id/tasks', { schema: list }, async (request) => {
  const { user_id } = request.params
  const { complete, limit, after } = request.query
  const filter = 'user_id = $1 AND ($2::boolean IS NULL OR complete = $2)'
  const page = await pool.query(
    `SELECT ${COLUMNS} FROM task WHERE ${filter} AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $4`,
    [user_id, complete ?? null, after ?? null, limit],
  )
  if (after === undefined && page.rows.length < limit) return { tasks: page.rows, count: page.rows.length }
  const total = await pool.query(`SELECT count(*)::int FROM task WHERE ${filter}`, [user_id, complete ?? null])
  return { tasks: page.rows, count: total.rows[0].count }
})

app.post('/api/:user_id/tasks', { schema: create }, async (request, reply) => {
  const { title, description } = request.body
  const made = await pool.query(
    `INSERT INTO task (user_id, title, description) VALUES ($1, $2, $3) RETURNING ${COLUMNS}`,
    [request.params.user_id, title, description ?? null],
  )
  return reply.code(201).send(made.rows[0])
})

app.get('/api/:user_id/tasks/:id', { schema: { response: { 200: task } } }, async (request, reply) => {
  const { user_id, id } = request.params
  const { rows } = await pool.query(`SELECT ${COLUMNS} FROM task WHERE user_id = $1 AND id = $2`, [user_id, id])
  return rows[0] ?? reply.code(404).send({ detail: 'no such task' })
})

app.put('/api/:user_id/tasks/:id', { schema: replace }, async (request, reply) => {
  const { user_id, id } = request.params
  const { title, description, complete } = request.body
  const { rows } = await pool.query(
    `UPDATE task SET title = $3, description = $4, complete = $5, updated_at = now()
     WHERE user_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
    [user_id, id, title, description ?? null, complete],
  )
  return rows[0] ?? reply.code(404).send({ detail: 'no such task' })
})

app.patch('/api/:user_id/tasks/:id', { schema: change }, async (request, reply) => {
  const { user_id, id } = request.params
  const names = Object.keys(request.body)
  const changes = names.map((name, place) => `${name} = $${place + 3}`)
  const { rows } = await pool.query(
    `UPDATE task SET ${changes.join(', ')}, updated_at = now() WHERE user_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
    [user_id, id, ...Object.values(request.body)],
  )
  return rows[0] ?? reply.code(404).send({ detail: 'no such task' })
})

app.delete('/api/:user_id/tasks/:id', async (request, reply) => {
  const { user_id, id } = request.params
  const { rowCount } = await pool.query('DELETE FROM task WHERE user_id = $1 AND id = $2', [user_id, id])
  return rowCount ? reply.code(204).send() : reply.code(404).send({ detail: 'no such task' })
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
